//! `log`, `audit verify`, `doctor`.

use backstop_engine::Failure;

use super::House;
use crate::args::Log;
use crate::inside;
use crate::out::Done;

/// `backstop log`.
pub fn log(typed: &Log) -> Done {
    inside::records_needed("log")?;
    let _unbuilt = (typed.follow, &typed.session);
    Err(Failure::internal("not built yet").into())
}

/// `backstop audit verify`.
pub fn verify(json: bool) -> Done {
    inside::records_needed("audit verify")?;
    let _unbuilt = json;
    Err(Failure::internal("not built yet").into())
}

/// `backstop doctor`.
pub fn doctor(json: bool) -> Done {
    let house = House::open()?;
    let _unbuilt = (json, house);
    Err(Failure::internal("not built yet").into())
}
