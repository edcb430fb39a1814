//! Topics of the wire contract 1.8 and of gridloop's extensions.

/// Announcement of a run, on the management exchange.
pub const START: &str = "Start";
/// Start and end of a run.
pub const SIM_STATE: &str = "SimState";
/// Start of an epoch.
pub const EPOCH: &str = "Epoch";
/// Components that were missing at the end of an epoch (gridloop extension).
pub const EPOCH_OVERRUN: &str = "EpochOverrun";
/// Ready components.
pub const STATUS_READY: &str = "Status.Ready";
/// Failed components.
pub const STATUS_ERROR: &str = "Status.Error";
/// Results of the platform's Dummy.
pub const RESULT: &str = "Result";
/// Plans of the economic dispatch.
pub const DISPATCH: &str = "ResourceForecastState.Dispatch";
/// Buses of the network.
pub const NETWORK_BUS_INFO: &str = "Init.NIS.NetworkBusInfo";
/// Branches of the network.
pub const NETWORK_COMPONENT_INFO: &str = "Init.NIS.NetworkComponentInfo";
/// Customers of the network.
pub const CUSTOMER_INFO: &str = "Init.CIS.CustomerInfo";
/// Judgement of voltages. The documentation of SimCES also spells it `DMSNetworkState.Voltage`.
pub const DMS_VOLTAGE: &str = "DMSNetworkStatus.Voltage";
/// Judgement of currents. The documentation of SimCES also spells it `DMSNetworkState.Current`.
pub const DMS_CURRENT: &str = "DMSNetworkStatus.Current";

/// The topic on which a component that iterates sends intermediate results: `<topic>.Iter` (wire contract 3.6).
#[must_use]
pub fn intermediate(topic: &str) -> String {
    format!("{topic}.Iter")
}

/// Declares functions that put names into a topic, and [`PATTERNS`].
macro_rules! topics {
    ( $( $(#[$about:meta])* $function:ident($($part:ident),+) = $pattern:literal, )+ ) => {
        $(
            #[doc = concat!("`", $pattern, "`")]
            $(#[$about])*
            #[must_use]
            pub fn $function($($part: &str),+) -> String {
                filled($pattern, &[$((stringify!($part), $part)),+])
            }
        )+

        /// The topics that have names in them, with the names in angle brackets.
        pub const PATTERNS: &[&str] = &[$($pattern),+];
    };
}

topics! {
    simple(component) = "SimpleTopic.<component>",
    resource_state(category, resource) = "ResourceState.<category>.<resource>",
    power_setpoint(resource) = "ControlState.PowerSetpoint.<resource>",
    resource_forecast(category, resource) = "ResourceForecastState.<category>.<resource>",
    price_forecast(market, resource) = "PriceForecastState.<market>.<resource>",
    network_voltage(grid, bus) = "NetworkState.<grid>.Voltage.<bus>",
    network_current(grid, device) = "NetworkState.<grid>.Current.<device>",
    network_loss(grid, device) = "NetworkState.<grid>.Loss.<device>",
    voltage_forecast(grid, bus) = "NetworkForecastState.<grid>.Voltage.<bus>",
    current_forecast(grid, device) = "NetworkForecastState.<grid>.Current.<device>",
    flexibility_need(market) = "FlexibilityNeed.<market>",
    request(market) = "Request.<market>",
    offer(market) = "Offer.<market>",
    lfm_offering(procurer) = "LFMOffering.<procurer>",
    selected_offer(market) = "SelectedOffer.<market>",
    lfm_market_result(market) = "LFMMarketResult.<market>",
    /// A copy of the procurer's ready status.
    pgo_ready(procurer) = "PgoReady.<procurer>",
    /// gridloop extension.
    tap_position(resource) = "ControlState.TapPosition.<resource>",
    /// gridloop extension.
    voltage_setpoint(resource) = "ControlState.VoltageSetpoint.<resource>",
    /// gridloop extension.
    device_state(resource) = "DeviceState.<resource>",
}

/// The pattern with these names put in.
fn filled(pattern: &str, names: &[(&str, &str)]) -> String {
    let mut topic = String::with_capacity(pattern.len() + 16);
    for (at, segment) in pattern.split('.').enumerate() {
        if at > 0 {
            topic.push('.');
        }
        let name = segment.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        let value = name.and_then(|name| names.iter().find(|(known, _)| *known == name));
        topic.push_str(value.map_or(segment, |(_, value)| value));
    }
    topic
}
