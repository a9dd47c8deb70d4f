//! What changes where a whole past takes the place of another.

use pm_core::adoption::Extent;
use pm_core::request::Request;
use pm_engine::{Change, Replaced};

use crate::language::tr;

/// Whether nothing of what was used before stays, so that more used is not what passed meanwhile.
pub(super) fn is_all(request: &Request) -> bool {
    matches!(request, Request::Adopt(adoption) if adoption.extent == Extent::Everything)
}

/// Returns what becomes of the history, a line each.
pub(super) fn history(replaced: Replaced) -> Vec<String> {
    let Replaced { periods, days } = replaced;
    let mut lines = Vec::new();
    if periods != Change::default() {
        let Change { gone, new } = periods;
        lines.push(tr!(
            "closed periods in the history: {gone} lost, {new} new",
            "历史中已结束的周期：去掉 {gone} 个，新增 {new} 个"
        ));
    }
    if days != Change::default() {
        let Change { gone, new } = days;
        lines.push(tr!(
            "daily totals in the history: {gone} lost, {new} new",
            "历史中的每日用量：去掉 {gone} 条，新增 {new} 条"
        ));
    }
    lines
}
