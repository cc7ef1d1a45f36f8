//! Somebody who watches the Service, and tells when it was changed: the same eyes for whoever changes it.

use std::{
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{WatchEvent, WatchParams},
};

use super::{ground::WORLD, place::Place, plane::PLANE};

/// A watch on a place's Service.
pub(crate) struct Witness {
    seen: Receiver<(Instant, Service)>,
}

impl Witness {
    /// Watches from now on.
    pub(crate) fn of(place: &Place) -> Self {
        let (tell, seen) = channel();
        let namespace = place.namespace.clone();
        WORLD.spawn(async move {
            let api: Api<Service> = Api::namespaced(PLANE.client().await, &namespace);
            let params = WatchParams::default().fields("metadata.name=backend-service").timeout(290);
            let mut from = api.get("backend-service").await.unwrap().metadata.resource_version.unwrap();
            loop {
                let mut events = api.watch(&params, &from).await.unwrap().boxed();
                while let Some(Ok(event)) = events.next().await {
                    if let WatchEvent::Modified(service) = event {
                        from = service.metadata.resource_version.clone().unwrap();
                        if tell.send((Instant::now(), service)).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Self { seen }
    }

    /// When the Service became so, by the first event that shows it.
    pub(crate) fn when(&self, is: impl Fn(&Service) -> bool) -> Instant {
        loop {
            let (at, service) = self.seen.recv_timeout(Duration::from_mins(1)).unwrap();
            if is(&service) {
                return at;
            }
        }
    }

    /// What was seen so far is no answer to what is asked next.
    pub(crate) fn forget(&self) {
        while self.seen.try_recv().is_ok() {}
    }
}
