//! Where a Service leads: its Endpoints and its `EndpointSlice`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    created::CONTROLLER,
    object::{condition, list, name, parse_time, put, selects_object, string_map, terminating, text, uid_of},
    resource::Kind,
    state::State,
    store::Key,
};

/// The port that the application's containers name.
const NAMED_PORT: u64 = 8080;

impl State {
    /// Every Service's Endpoints and `EndpointSlice` name the pods it selects.
    pub(super) fn sync_endpoints(&mut self) {
        let services: Vec<Arc<Value>> =
            self.store.list(Kind::Service, None).map(|(_, service)| Arc::clone(service)).collect();
        for service in &services {
            self.sync_service(service);
        }
        let orphaned: Vec<Key> = [Kind::Endpoints, Kind::EndpointSlice]
            .into_iter()
            .flat_map(|kind| self.store.list(kind, None))
            .filter(|(key, object)| {
                let owner = text(object, "/metadata/labels/kubernetes.io~1service-name");
                let owner = if owner.is_empty() { key.name.as_str() } else { owner };
                !services.iter().any(|service| {
                    name(service) == owner && text(service, "/metadata/namespace") == key.namespace
                })
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in orphaned {
            self.store.remove(&key);
        }
    }

    fn sync_service(&mut self, service: &Value) {
        let namespace = text(service, "/metadata/namespace").to_owned();
        let selector = string_map(service, "/spec/selector");
        let (mut ready, mut unready, mut slices) = (Vec::new(), Vec::new(), Vec::new());
        for (_, pod) in self.store.list(Kind::Pod, Some(&namespace)) {
            let ip = text(pod, "/status/podIP");
            if ip.is_empty() || terminating(pod) || !selects_object(&selector, pod) {
                continue;
            }
            let is_ready = condition(pod, "Ready") == "True";
            let target =
                json!({"kind": "Pod", "namespace": namespace, "name": name(pod), "uid": uid_of(pod)});
            let node = text(pod, "/spec/nodeName");
            let address = json!({"ip": ip, "nodeName": node, "targetRef": target});
            if is_ready {
                ready.push(address);
            } else {
                unready.push(address);
            }
            slices.push(json!({
                "addresses": [ip],
                "conditions": {"ready": is_ready, "serving": is_ready, "terminating": false},
                "targetRef": target,
                "nodeName": node,
            }));
        }
        let ports: Vec<Value> = list(service, "/spec/ports")
            .iter()
            .map(|port| {
                // A name is that of the containers' one port.
                let number = port["targetPort"].as_u64().unwrap_or(NAMED_PORT);
                json!({"name": text(port, "/name"), "port": number, "protocol": "TCP"})
            })
            .collect();
        let mut subset = json!({});
        if !ready.is_empty() {
            subset["addresses"] = json!(ready);
        }
        if !unready.is_empty() {
            subset["notReadyAddresses"] = json!(unready);
        }
        subset["ports"] = json!(ports);
        // Nobody is written as nothing, not as an empty list.
        let subsets = if slices.is_empty() { Value::Null } else { json!([subset]) };
        let service_name = name(service).to_owned();
        let key = Key::new(Kind::Endpoints, &namespace, &service_name);
        let since = parse_time(text(service, "/metadata/creationTimestamp")).unwrap_or(self.now);
        if let Some(mut object) = self.store.get(&key).map(|object| Value::clone(object)) {
            if subsets.is_null() {
                if let Some(fields) = object.as_object_mut() {
                    fields.remove("subsets");
                }
            } else {
                put(&mut object, "/subsets", subsets);
            }
            self.write(Kind::Endpoints, object, CONTROLLER, None);
        } else {
            let mut object = json!({"metadata": {"name": service_name, "namespace": namespace}});
            if !subsets.is_null() {
                put(&mut object, "/subsets", subsets);
            }
            put(&mut object, "/metadata/labels", service["metadata"]["labels"].clone());
            self.create(Kind::Endpoints, object, CONTROLLER, since);
        }
        let slice = self
            .store
            .list(Kind::EndpointSlice, Some(&namespace))
            .find(|(_, slice)| text(slice, "/metadata/labels/kubernetes.io~1service-name") == service_name)
            .map(|(_, slice)| Value::clone(slice));
        if let Some(mut slice) = slice {
            put(&mut slice, "/endpoints", slices);
            put(&mut slice, "/ports", ports);
            self.write(Kind::EndpointSlice, slice, CONTROLLER, None);
        } else {
            let slice = json!({
                "metadata": {
                    "name": self.fresh_name(&format!("{service_name}-")),
                    "namespace": namespace,
                    "labels": {
                        "kubernetes.io/service-name": service_name,
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                    },
                    "ownerReferences": [{
                        "apiVersion": "v1", "kind": "Service", "name": service_name, "uid": uid_of(service),
                        "controller": true, "blockOwnerDeletion": true,
                    }],
                },
                "addressType": "IPv4",
                "endpoints": slices,
                "ports": ports,
            });
            self.create(Kind::EndpointSlice, slice, CONTROLLER, since);
        }
    }
}
