//! What physicians handed over, call by call: a later call replaces nothing of one before.

use std::fmt;

use super::Dossier;
use crate::physician::{Document, Physician, Summary};
use crate::vitals::Moment;

/// A summary and when it came.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedSummary {
    /// What the physician wrote.
    pub summary: Summary,
    /// The author.
    pub physician: Physician,
    /// When it arrived at the cabin.
    pub at: Moment,
}

impl fmt::Debug for ReceivedSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivedSummary([patient])")
    }
}

/// What one call left.
#[derive(Clone)]
pub struct LeftByCall<'a> {
    /// Whose call it was.
    pub physician: &'a Physician,
    /// When the last of it came.
    pub at: Moment,
    /// The last summary.
    pub summary: Option<&'a Summary>,
    /// Documents, in order.
    pub documents: Vec<&'a ReceivedDocument>,
}

/// A document and when it came.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedDocument {
    /// The document.
    pub document: Document,
    /// The author.
    pub physician: Physician,
    /// When it arrived at the cabin.
    pub at: Moment,
}

impl fmt::Debug for ReceivedDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivedDocument([patient])")
    }
}

impl Dossier {
    /// The last summary.
    pub fn summary(&self) -> Option<&Summary> {
        self.summaries.last().map(|s| &s.summary)
    }

    /// What the calls left, in order: the last summary of each, where it says anything. Who takes the patient again begins
    /// with an empty page: what was handed over in a call before is not replaced by it.
    pub fn summaries_of_calls(&self) -> Vec<&ReceivedSummary> {
        let call_of = |summary: &ReceivedSummary| self.calls.iter().rposition(|call| call.accepted_at <= summary.at);
        let mut last: Vec<&ReceivedSummary> = Vec::new();
        for summary in &self.summaries {
            let is_same = |before: &&ReceivedSummary| {
                call_of(before) == call_of(summary) && before.physician.rpps == summary.physician.rpps
            };
            last.pop_if(|before| is_same(&&**before));
            last.push(summary);
        }
        last.retain(|received| !received.summary.is_empty());
        last
    }

    /// What each call before the last one left, in order, where it left anything.
    pub fn left_by_calls_before(&self) -> Vec<LeftByCall<'_>> {
        let summaries = self.summaries_of_calls();
        let mut left = Vec::new();
        for pair in self.calls.windows(2) {
            let (from, until) = (pair[0].accepted_at, pair[1].accepted_at);
            let is_of_it = |at: Moment| from <= at && at < until;
            let summary = summaries.iter().find(|received| is_of_it(received.at)).copied();
            let documents: Vec<_> = self.documents.iter().filter(|received| is_of_it(received.at)).collect();
            let last = documents.iter().map(|received| received.at).chain(summary.map(|received| received.at)).max();
            if let Some(at) = last {
                left.push(LeftByCall {
                    physician: &pair[0].physician,
                    at,
                    summary: summary.map(|s| &s.summary),
                    documents,
                });
            }
        }
        left
    }
}
