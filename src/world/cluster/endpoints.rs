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

    /// One Service's objects, as the two controllers of a real cluster keep them: Endpoints and slice name the same pods.
    fn sync_service(&mut self, service: &Value) {
        let behind = self.behind(service);
        self.sync_endpoints_object(service, &behind);
        self.sync_slice(service, behind);
    }

    /// The pods that a Service selects. A pod that has no address yet, or is going, stands in neither list: nobody sends it
    /// requests.
    fn behind(&self, service: &Value) -> Behind {
        let namespace = text(service, "/metadata/namespace");
        let selector = string_map(service, "/spec/selector");
        let mut behind = Behind { ports: ports(service), ..Behind::default() };
        for (_, pod) in self.store.list(Kind::Pod, Some(namespace)) {
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
                behind.ready.push(address);
            } else {
                behind.unready.push(address);
            }
            behind.slices.push(json!({
                "addresses": [ip],
                "conditions": {"ready": is_ready, "serving": is_ready, "terminating": false},
                "targetRef": target,
                "nodeName": node,
            }));
        }
        behind
    }

    /// The Endpoints object has the Service's name and labels.
    fn sync_endpoints_object(&mut self, service: &Value, behind: &Behind) {
        let subsets = behind.subsets();
        let (namespace, service_name) = (text(service, "/metadata/namespace"), name(service));
        let key = Key::new(Kind::Endpoints, namespace, service_name);
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
            self.create(Kind::Endpoints, object, CONTROLLER, self.since(service));
        }
    }

    /// The slice has a name of its own and is found by its label, as clients must find it. One is enough here: a real cluster
    /// begins another after 100 pods.
    fn sync_slice(&mut self, service: &Value, behind: Behind) {
        let Behind { slices, ports, .. } = behind;
        let (namespace, service_name) = (text(service, "/metadata/namespace"), name(service));
        let slice = self
            .store
            .list(Kind::EndpointSlice, Some(namespace))
            .find(|(_, slice)| text(slice, "/metadata/labels/kubernetes.io~1service-name") == service_name)
            .map(|(_, slice)| Value::clone(slice));
        if let Some(mut slice) = slice {
            put(&mut slice, "/endpoints", slices);
            put(&mut slice, "/ports", ports);
            self.write(Kind::EndpointSlice, slice, CONTROLLER, None);
        } else {
            let slice_name = self.fresh_name(&format!("{service_name}-"));
            let slice = new_slice(service, &slice_name, &slices, &ports);
            self.create(Kind::EndpointSlice, slice, CONTROLLER, self.since(service));
        }
    }

    /// When a Service was created: what belongs to it is as old.
    fn since(&self, service: &Value) -> i64 {
        parse_time(text(service, "/metadata/creationTimestamp")).unwrap_or(self.now)
    }
}

/// A slice of a Service. Garbage collection finds it by its owner, clients by its label.
fn new_slice(service: &Value, slice_name: &str, slices: &[Value], ports: &[Value]) -> Value {
    json!({
        "metadata": {
            "name": slice_name,
            "namespace": text(service, "/metadata/namespace"),
            "labels": {
                "kubernetes.io/service-name": name(service),
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Service", "name": name(service), "uid": uid_of(service),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "addressType": "IPv4",
        "endpoints": slices,
        "ports": ports,
    })
}

/// What stands behind a Service.
#[derive(Default)]
struct Behind {
    /// Addresses as Endpoints have them, of pods that are ready and of those that are not.
    ready: Vec<Value>,
    unready: Vec<Value>,
    /// All of them as a slice has them.
    slices: Vec<Value>,
    ports: Vec<Value>,
}

impl Behind {
    /// As Endpoints have them. Nobody is written as nothing, not as an empty list.
    fn subsets(&self) -> Value {
        if self.slices.is_empty() {
            return Value::Null;
        }
        let mut subset = json!({});
        if !self.ready.is_empty() {
            subset["addresses"] = json!(self.ready);
        }
        if !self.unready.is_empty() {
            subset["notReadyAddresses"] = json!(self.unready);
        }
        subset["ports"] = json!(self.ports);
        json!([subset])
    }
}

/// The ports behind a Service: those of the pods, not its own.
fn ports(service: &Value) -> Vec<Value> {
    list(service, "/spec/ports")
        .iter()
        .map(|port| {
            // A name is that of the containers' one port.
            let number = port["targetPort"].as_u64().unwrap_or(NAMED_PORT);
            json!({"name": text(port, "/name"), "port": number, "protocol": "TCP"})
        })
        .collect()
}
