//! Where requests are: in the desk's own store, or at the site's own FHIR server. One transaction writes either.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::super::call_backs::{DESK, Elsewhere, SYSTEM};
use super::super::store::Store;
use super::super::{FHIR_JSON, Records, fresh_id, lock, now, transaction};
use super::{CODE, is_opinion};

/// Most requests asked of another server at once.
const ELSEWHERE_MAX: usize = 500;

/// The records cannot be read or written now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(String);

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        Trouble(error.without_url().to_string())
    }
}

impl Records {
    /// Runs `work` on the embedded store, where blocking is allowed; `None` where the records are elsewhere.
    async fn on_store<T, F>(&self, work: F) -> Option<Result<T, Trouble>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Store) -> Result<T, Trouble> + Send + 'static,
    {
        let Records::Embedded(store) = self else { return None };
        let store = Arc::clone(store);
        let worked = tokio::task::spawn_blocking(move || work(&mut lock(&store))).await;
        Some(worked.unwrap_or_else(|error| Err(Trouble(error.to_string()))))
    }

    /// Every request: those that are open, and the last ones that are not.
    ///
    /// # Errors
    /// The site's own server does not answer, or not with a Bundle.
    pub async fn opinions(&self) -> Result<Vec<Value>, Trouble> {
        if let Some(read) = self.on_store(|store| Ok(store.opinions().cloned().collect())).await {
            return read;
        }
        let Some(elsewhere) = self.elsewhere() else { return Ok(Vec::new()) };
        let query = format!("Task?code={SYSTEM}%7C{CODE}&_sort=-_lastUpdated&_count={ELSEWHERE_MAX}");
        Ok(searched(&elsewhere, &query).await?.into_iter().filter(is_opinion).collect())
    }

    /// A resource by its type and id.
    ///
    /// # Errors
    /// The store cannot be read, or the site's own server does not answer.
    pub async fn resource(&self, kind: &str, id: &str) -> Result<Option<Value>, Trouble> {
        let (wanted, named) = (kind.to_owned(), id.to_owned());
        let read = move |store: &mut Store| {
            let found = store.get(&wanted, &named).map_err(|refusal| Trouble(refusal.to_string()))?;
            Ok(found.map(|(resource, _)| resource))
        };
        if let Some(read) = self.on_store(read).await {
            return read;
        }
        let Some(elsewhere) = self.elsewhere() else { return Ok(None) };
        let reply = elsewhere.request(Method::GET, &format!("{kind}/{id}")).send().await?;
        match reply.status() {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            _ => Ok(Some(reply.error_for_status()?.json().await?)),
        }
    }

    /// What was said about a ServiceRequest, by its id: thread, details, answer.
    ///
    /// # Errors
    /// As [`Records::resource`].
    pub async fn about_service(&self, service: &str) -> Result<Vec<Value>, Trouble> {
        const KINDS: [(&str, &str); 3] =
            [("Communication", "based-on"), ("QuestionnaireResponse", "based-on"), ("DocumentReference", "related")];
        let target = format!("ServiceRequest/{service}");
        let sought = target.clone();
        let read = move |store: &mut Store| {
            let mut found = Vec::new();
            for (kind, id) in store.referring_to(&sought) {
                if KINDS.iter().any(|(known, _)| *known == kind)
                    && let Some((resource, _)) =
                        store.get(&kind, &id).map_err(|refusal| Trouble(refusal.to_string()))?
                {
                    found.push(resource);
                }
            }
            Ok(found)
        };
        if let Some(read) = self.on_store(read).await {
            return read;
        }
        let Some(elsewhere) = self.elsewhere() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (kind, parameter) in KINDS {
            found.extend(searched(&elsewhere, &format!("{kind}?{parameter}={target}")).await?);
        }
        Ok(found)
    }

    /// What a patient (`Patient/…`) agreed to and did not.
    ///
    /// # Errors
    /// As [`Records::resource`].
    pub async fn consents_of(&self, patient: &str) -> Result<Vec<Value>, Trouble> {
        let target = patient.to_owned();
        let read = move |store: &mut Store| {
            let mut found = Vec::new();
            for (kind, id) in store.referring_to(&target).into_iter().filter(|(kind, _)| kind == "Consent") {
                let read = store.get(&kind, &id).map_err(|refusal| Trouble(refusal.to_string()))?;
                found.extend(read.map(|(consent, _)| consent));
            }
            Ok(found)
        };
        if let Some(read) = self.on_store(read).await {
            return read;
        }
        match self.elsewhere() {
            Some(elsewhere) => searched(&elsewhere, &format!("Consent?patient={patient}")).await,
            None => Ok(Vec::new()),
        }
    }

    /// Stores a transaction of the desk. False when somebody changed meanwhile what it changes: read again.
    ///
    /// # Errors
    /// Nothing was stored.
    pub async fn transact(&self, bundle: Value) -> Result<bool, Trouble> {
        if let Some(elsewhere) = self.elsewhere() {
            let post = elsewhere.request(Method::POST, "").header(CONTENT_TYPE, FHIR_JSON).body(bundle.to_string());
            let reply = post.send().await?;
            if matches!(reply.status(), StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) {
                return Ok(false);
            }
            let status = reply.error_for_status_ref().map(|_| ());
            let answer: Value = reply.json().await.unwrap_or_default();
            status.map_err(|error| Trouble(error.without_url().to_string()))?;
            // Some servers answer 200 to a transaction of which they refused a part.
            let refused =
                |entry: &Value| entry["response"]["status"].as_str().is_some_and(|status| !status.starts_with('2'));
            return Ok(!answer["entry"].as_array().into_iter().flatten().any(refused));
        }
        let write = move |store: &mut Store| match transaction::run(store, bundle, DESK, &now(), &mut fresh_id) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.status == 412 => Ok(false),
            Err(refusal) => Err(Trouble(refusal.to_string())),
        };
        self.on_store(write).await.unwrap_or(Ok(false))
    }
}

async fn searched(elsewhere: &Elsewhere<'_>, query: &str) -> Result<Vec<Value>, Trouble> {
    let reply = elsewhere.request(Method::GET, query).send().await?.error_for_status()?;
    let mut bundle: Value = reply.json().await?;
    let entries = bundle["entry"].as_array_mut().map(std::mem::take).unwrap_or_default();
    Ok(entries.into_iter().map(|mut entry| entry["resource"].take()).collect())
}
