//! Topics are spelled as in the wire contract 1.8.

use gridloop_messages::topic;

#[test]
fn names_are_put_where_the_contract_has_them() {
    let topics = [
        (topic::simple("C3"), "SimpleTopic.C3"),
        (topic::resource_state("Load", "house4"), "ResourceState.Load.house4"),
        (topic::power_setpoint("cellar"), "ControlState.PowerSetpoint.cellar"),
        (topic::resource_forecast("Generator", "pv1"), "ResourceForecastState.Generator.pv1"),
        (topic::price_forecast("spot", "none"), "PriceForecastState.spot.none"),
        (topic::network_voltage("hill", "b2"), "NetworkState.hill.Voltage.b2"),
        (topic::network_current("hill", "L1"), "NetworkState.hill.Current.L1"),
        (topic::network_loss("hill", "L1"), "NetworkState.hill.Loss.L1"),
        (topic::voltage_forecast("hill", "b2"), "NetworkForecastState.hill.Voltage.b2"),
        (topic::current_forecast("hill", "L1"), "NetworkForecastState.hill.Current.L1"),
        (topic::flexibility_need("lfm1"), "FlexibilityNeed.lfm1"),
        (topic::request("lfm1"), "Request.lfm1"),
        (topic::offer("lfm1"), "Offer.lfm1"),
        (topic::lfm_offering("pgo"), "LFMOffering.pgo"),
        (topic::selected_offer("lfm1"), "SelectedOffer.lfm1"),
        (topic::lfm_market_result("lfm1"), "LFMMarketResult.lfm1"),
        (topic::pgo_ready("pgo"), "PgoReady.pgo"),
        (topic::tap_position("oltc"), "ControlState.TapPosition.oltc"),
        (topic::voltage_setpoint("oltc"), "ControlState.VoltageSetpoint.oltc"),
        (topic::device_state("pv1"), "DeviceState.pv1"),
    ];
    assert_eq!(topics.len(), topic::PATTERNS.len());
    for (topic, expected) in topics {
        assert_eq!(topic, expected);
    }
    assert_eq!(topic::intermediate(&topic::offer("lfm1")), "Offer.lfm1.Iter");
}

#[test]
fn a_name_that_looks_like_a_place_stays_a_name() {
    assert_eq!(topic::resource_state("<resource>", "a.b"), "ResourceState.<resource>.a.b");
}
