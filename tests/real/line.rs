//! The line between the product and the API server: a proxy that a test tells what to do.

use serde_json::{Value, json};

use super::{ground::WORLD, place::Place, plane::PLANE, proxy::Proxy};

/// A proxy before the API server that is somebody who may do everything. The product goes through it from now on.
pub(crate) fn proxy_before(place: &mut Place) -> Proxy {
    let text = std::fs::read_to_string(&PLANE.kubeconfig).unwrap();
    let mut kubeconfig: Value = serde_saphyr::from_str(&text).unwrap();
    let decoded = |value: &Value| {
        base64::Engine::decode(&base64::prelude::BASE64_STANDARD, value.as_str().unwrap()).unwrap()
    };
    let cluster = &kubeconfig["clusters"][0]["cluster"];
    let user = &kubeconfig["users"][0]["user"];
    let mut identity = decoded(&user["client-certificate-data"]);
    identity.extend(decoded(&user["client-key-data"]));
    let proxy = WORLD.block_on(async {
        let client = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .tls_certs_only([reqwest::Certificate::from_pem(&decoded(
                &cluster["certificate-authority-data"],
            ))
            .unwrap()])
            .identity(reqwest::Identity::from_pem(&identity).unwrap())
            .build()
            .unwrap();
        Proxy::before(cluster["server"].as_str().unwrap(), client).await
    });
    kubeconfig["clusters"][0]["cluster"] = json!({"server": proxy.url()});
    kubeconfig["users"][0]["user"] = json!({});
    let path = place.stage.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    place.kubeconfig = path;
    proxy
}
