//! The content of messages: [`Body`] has one variant for each type of the wire contract, section 2, and of gridloop's
//! extensions. The fields are declared in the modules below, next to their rules.

mod core;
mod device;
mod market;
mod network;
mod resource;

pub use self::core::{
    AnyResult, Epoch, EpochOverrun, EpochPacing, LateComponent, SimState, Simple, SimulationState, Status,
    StatusValue,
};
pub use device::{DeviceState, PointQuality, PointSource, PointState, TapPosition, VoltageSetpoint};
pub use market::{Direction, FlexibilityNeed, LfmMarketResult, Offer, OfferTerms, SelectedOffer};
pub use network::{
    BranchCurrent, BusType, BusVoltage, Conductor, CurrentForecast, CurrentStatus, CustomerInfo, DmsCurrent,
    DmsVoltage, LimitStatus, NetworkBusInfo, NetworkComponentInfo, NetworkLoss, NetworkState,
    VoltageForecast, VoltageStatus,
};
pub use resource::{Dispatch, PowerSetpoint, PriceForecastState, ResourceForecast, ResourceState};

use crate::describe::Shape;
use crate::field::{Read, Written};
use crate::json::Object;
use crate::record::{Members, Record};

/// Reads the content of one type.
pub(crate) type BodyReader = fn(&Object<'_>) -> Read<Body>;

/// Declares [`Body`]: variant, struct, and `Type` on the wire.
macro_rules! bodies {
    ( $( $(#[$about:meta])+ $variant:ident($content:ty) = $type_name:literal, )+ ) => {
        /// The content of a message of a known type. The name of the variant is the `Type` on the wire, except where
        /// its documentation says otherwise. Large contents are boxed, so that the small ones of every epoch stay
        /// small.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Body {
            $( $(#[$about])+ $variant($content), )+
        }

        impl Body {
            /// The `Type` of every variant.
            pub const TYPES: &'static [&'static str] = &[$($type_name),+];

            /// The `Type` on the wire.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self {
                    $( Self::$variant(_) => $type_name, )+
                }
            }

            /// What reads the content of this type; `None` if it is not known.
            pub(crate) fn reader(type_name: &str) -> Option<BodyReader> {
                Some(match type_name {
                    $( $type_name => |object| <$content>::read(object).map(Self::$variant), )+
                    _ => return None,
                })
            }

            pub(crate) fn write(&self, members: &mut Members<'_>) -> Written {
                match self {
                    $( Self::$variant(content) => content.write(members), )+
                }
            }

            pub(crate) fn shapes(type_name: &str) -> Option<Vec<Shape>> {
                Some(match type_name {
                    $( $type_name => <$content>::shapes(), )+
                    _ => return None,
                })
            }
        }
    };
}

bodies! {
    /// The run begins or ends.
    SimState(SimState) = "SimState",
    /// An epoch begins.
    Epoch(Epoch) = "Epoch",
    /// A component is ready or has failed.
    Status(Status) = "Status",
    /// A result of any content.
    Result(AnyResult) = "Result",
    /// The result of the platform's SimpleComponent.
    Simple(Simple) = "Simple",
    /// Power of a resource in an epoch.
    ResourceState(ResourceState) = "ResourceState",
    /// `ControlState.PowerSetpoint`.
    PowerSetpoint(PowerSetpoint) = "ControlState.PowerSetpoint",
    /// `ResourceForecastState.Power`.
    ResourceForecast(ResourceForecast) = "ResourceForecastState.Power",
    /// `ResourceForecastState.Dispatch`.
    Dispatch(Dispatch) = "ResourceForecastState.Dispatch",
    /// What energy will probably cost.
    PriceForecastState(Box<PriceForecastState>) = "PriceForecastState",
    /// `Init.NIS.NetworkBusInfo`.
    NetworkBusInfo(NetworkBusInfo) = "Init.NIS.NetworkBusInfo",
    /// `Init.NIS.NetworkComponentInfo`.
    NetworkComponentInfo(Box<NetworkComponentInfo>) = "Init.NIS.NetworkComponentInfo",
    /// `Init.CIS.CustomerInfo`.
    CustomerInfo(CustomerInfo) = "Init.CIS.CustomerInfo",
    /// Voltage at a bus or current in a branch.
    NetworkState(NetworkState) = "NetworkState",
    /// `NetworkState.Loss`.
    NetworkLoss(Box<NetworkLoss>) = "NetworkState.Loss",
    /// `NetworkForecastState.Voltage`.
    VoltageForecast(VoltageForecast) = "NetworkForecastState.Voltage",
    /// `NetworkForecastState.Current`.
    CurrentForecast(CurrentForecast) = "NetworkForecastState.Current",
    /// `DMSNetworkStatus.Voltage`.
    DmsVoltage(DmsVoltage) = "DMSNetworkStatus.Voltage",
    /// `DMSNetworkStatus.Current`.
    DmsCurrent(DmsCurrent) = "DMSNetworkStatus.Current",
    /// What a network needs of a market.
    FlexibilityNeed(Box<FlexibilityNeed>) = "FlexibilityNeed",
    /// What a market needs of providers.
    Request(Box<FlexibilityNeed>) = "Request",
    /// What a provider offers.
    Offer(Box<Offer>) = "Offer",
    /// `LFMOffering`: an offer as passed on to who needs it.
    LfmOffering(Box<Offer>) = "LFMOffering",
    /// `LFMMarketResult`: an offer that was taken.
    LfmMarketResult(Box<LfmMarketResult>) = "LFMMarketResult",
    /// Which offers are taken.
    SelectedOffer(SelectedOffer) = "SelectedOffer",
    /// `ControlState.TapPosition` (gridloop extension).
    TapPosition(TapPosition) = "ControlState.TapPosition",
    /// `ControlState.VoltageSetpoint` (gridloop extension).
    VoltageSetpoint(VoltageSetpoint) = "ControlState.VoltageSetpoint",
    /// `DeviceState` (gridloop extension).
    DeviceState(DeviceState) = "DeviceState",
    /// `EpochOverrun` (gridloop extension).
    EpochOverrun(EpochOverrun) = "EpochOverrun",
}
