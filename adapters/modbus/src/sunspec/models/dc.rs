//! The direct current side: models 160 (MPPT modules) and 714 (ports), each with a group that repeats.

use super::Kind::{Acc32, Bitfield32, Count, Enum16, Int16, ScaleFactor, Text, Uint16, Uint32, Uint64};
use super::{Point, grouped, laid_out, point};

/// Model 160, before its modules.
pub(super) const MPPT: &[Point] = &laid_out([
    point("DCA_SF", ScaleFactor),
    point("DCV_SF", ScaleFactor),
    point("DCW_SF", ScaleFactor),
    point("DCWH_SF", ScaleFactor),
    point("Evt", Bitfield32),
    point("N", Count),
    point("TmsPer", Uint16),
]);

/// One module of model 160.
pub(super) const MODULE: &[Point] = &grouped([
    point("ID", Uint16),
    point("IDStr", Text(8)),
    point("DCA", Uint16).scaled("DCA_SF").unit("A"),
    point("DCV", Uint16).scaled("DCV_SF").unit("V"),
    point("DCW", Uint16).scaled("DCW_SF").unit("W"),
    point("DCWH", Acc32).scaled("DCWH_SF").unit("Wh"),
    point("Tms", Uint32).unit("Secs"),
    point("Tmp", Int16).unit("C"),
    point("DCSt", Enum16),
    point("DCEvt", Bitfield32),
]);

/// Model 714, before its ports.
pub(super) const PORTS: &[Point] = &laid_out([
    point("PrtAlrms", Bitfield32),
    point("NPrt", Uint16),
    point("DCA", Int16).scaled("DCA_SF").unit("A"),
    point("DCW", Int16).scaled("DCW_SF").unit("W"),
    point("DCWhInj", Uint64).scaled("DCWH_SF").unit("Wh"),
    point("DCWhAbs", Uint64).scaled("DCWH_SF").unit("Wh"),
    point("DCA_SF", ScaleFactor),
    point("DCV_SF", ScaleFactor),
    point("DCW_SF", ScaleFactor),
    point("DCWH_SF", ScaleFactor),
    point("Tmp_SF", ScaleFactor),
]);

/// One port of model 714.
pub(super) const PORT: &[Point] = &grouped([
    point("PrtTyp", Enum16),
    point("ID", Uint16),
    point("IDStr", Text(8)),
    point("DCA", Int16).scaled("DCA_SF").unit("A"),
    point("DCV", Uint16).scaled("DCV_SF").unit("V"),
    point("DCW", Int16).scaled("DCW_SF").unit("W"),
    point("DCWhInj", Uint64).scaled("DCWH_SF").unit("Wh"),
    point("DCWhAbs", Uint64).scaled("DCWH_SF").unit("Wh"),
    point("Tmp", Int16).scaled("Tmp_SF").unit("C"),
    point("DCSta", Enum16),
    point("DCAlrm", Bitfield32),
]);
