//! What is accepted beyond the strict form in forecasts, network and market messages: the spellings that SimCES
//! processes are known to send or to take (wire contract 2.1, 2.4 to 2.6).

use gridloop_messages::{Body, Decoded, NetworkState, Values, decode};
use serde_json::{Value, json};

use crate::golden::values;
use crate::sample::now;

/// The content of the golden message of this type after a change.
fn body(type_name: &str, change: impl FnOnce(&mut Value)) -> Result<Body, String> {
    let golden = values().into_iter().find(|message| message.type_name() == type_name).unwrap();
    let mut body = serde_json::from_slice(&golden.encode().unwrap()).unwrap();
    change(&mut body);
    match decode(body.to_string().as_bytes(), now()) {
        Ok(Decoded::Message(message)) => Ok(message.body),
        Ok(Decoded::General(general)) => panic!("{} is not known", general.type_name),
        Err(error) => Err(error.to_string()),
    }
}

/// The unchanged content.
fn unchanged(type_name: &str) -> Body {
    body(type_name, |_| {}).unwrap()
}

#[test]
fn prices_may_be_strings_as_the_price_forecaster_sends_them() {
    let strings = body("PriceForecastState", |body| {
        body["Prices"]["Series"]["Price"]["Values"] = json!(["81.5", " -3"]);
    });
    let Ok(Body::PriceForecastState(forecast)) = strings else { panic!("{strings:?}") };
    assert!(matches!(forecast.prices.series["Price"].values, Values::Texts(_)));
    assert_eq!(forecast.prices.numbers("Price").as_deref(), Some(&[81.5, -3.0][..]));
}

#[test]
fn series_of_strings_and_booleans_are_kept_and_are_no_numbers() {
    let flags = body("PriceForecastState", |body| {
        body["Prices"]["Series"]["On"] = json!({"UnitOfMeasure": "", "Values": [true, false]});
        body["Prices"]["Series"]["Name"] = json!({"UnitOfMeasure": "", "Values": ["a", "b"]});
    });
    let Ok(Body::PriceForecastState(forecast)) = flags else { panic!("{flags:?}") };
    assert_eq!(forecast.prices.series["On"].values, Values::Flags(vec![true, false]));
    assert_eq!([forecast.prices.numbers("On"), forecast.prices.numbers("Name")], [None, None]);
}

#[test]
fn values_of_one_array_are_of_one_kind() {
    for (values, at) in
        [(json!([1.0, "2"]), 1), (json!(["1", 2.0]), 1), (json!([true, 0]), 1), (json!([null, 1.0]), 0)]
    {
        let mixed = body("PriceForecastState", |body| body["Prices"]["Series"]["Price"]["Values"] = values);
        let error = mixed.unwrap_err();
        assert!(error.contains(&format!("Prices.Series.Price.Values.{at}: expected")), "{error}");
    }
}

#[test]
fn integers_in_blocks_are_numbers() {
    let integers = body("ResourceForecastState.Power", |body| {
        body["Forecast"]["Series"]["RealPower"]["Values"] = json!([1, -2.5]);
    });
    let Ok(Body::ResourceForecast(forecast)) = integers else { panic!("{integers:?}") };
    assert_eq!(forecast.forecast.numbers("RealPower").as_deref(), Some(&[1.0, -2.5][..]));
    let buses =
        body("Init.NIS.NetworkBusInfo", |body| body["BusVoltageBase"]["Values"] = json!([20, 0.4, 0.4]));
    assert_eq!(buses.unwrap(), unchanged("Init.NIS.NetworkBusInfo"));
}

#[test]
fn an_array_in_a_unit_may_be_a_bare_array_of_floats() {
    let bare = |values| body("Init.NIS.NetworkBusInfo", |body| body["BusVoltageBase"] = values);
    assert_eq!(bare(json!([20.0, 0.4, 0.4])).unwrap(), unchanged("Init.NIS.NetworkBusInfo"));
    let integer = bare(json!([0.4, 20, 0.4])).unwrap_err();
    let expected = "BusVoltageBase.1: expected a number with a decimal point, found the integer 20";
    assert!(integer.ends_with(expected), "{integer}");
}

#[test]
fn blocks_take_no_further_key() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 4] = [
        (
            "Init.NIS.NetworkBusInfo",
            |body| body["BusVoltageBase"]["Note"] = json!(1),
            "BusVoltageBase: expected no key but UnitOfMeasure and Values, found \"Note\"",
        ),
        (
            "ResourceForecastState.Power",
            |body| body["Forecast"]["Note"] = json!(1),
            "Forecast: expected no key but TimeIndex and Series, found \"Note\"",
        ),
        (
            "ResourceForecastState.Power",
            |body| body["Forecast"]["Series"]["RealPower"]["Note"] = json!(1),
            "Forecast.Series.RealPower: expected no key but UnitOfMeasure and Values, found \"Note\"",
        ),
        (
            "ResourceForecastState.Dispatch",
            |body| body["Dispatch"]["grid"]["Note"] = json!(1),
            "Dispatch.grid: expected no key but TimeIndex and Series, found \"Note\"",
        ),
    ];
    for (type_name, change, expected) in cases {
        assert_eq!(body(type_name, change), Err(format!("{type_name}: {expected}")));
    }
    let in_quantity = body("NetworkState.Loss", |body| body["RealPowerShunt"]["Note"] = json!(1));
    assert_eq!(in_quantity.unwrap(), unchanged("NetworkState.Loss"));
}

#[test]
fn points_in_time_may_be_spelled_otherwise_and_need_no_order() {
    let spelled = body("ResourceForecastState.Power", |body| {
        body["Forecast"]["TimeIndex"] = json!(["2024-03-01T08:00:00+02:00", "2024-03-01T06:15:00.000000Z"]);
    });
    assert_eq!(spelled.unwrap(), unchanged("ResourceForecastState.Power"));
    let backwards = body("ResourceForecastState.Power", |body| {
        body["Forecast"]["TimeIndex"] = json!(["2024-03-02", "2024-03-01"]);
    });
    backwards.unwrap();
}

#[test]
fn a_dispatch_may_be_empty() {
    let empty = body("ResourceForecastState.Dispatch", |body| body["Dispatch"] = json!({}));
    assert!(matches!(empty.unwrap(), Body::Dispatch(it) if it.dispatch.is_empty()));
}

#[test]
fn market_quantities_may_be_bare_numbers_even_integers() {
    let bare = body("Request", |body| {
        body["Duration"] = json!(30);
        body["RealPowerMin"] = json!(2);
        body["RealPowerRequest"] = json!("7.5");
        body["BidResolution"] = json!(0.5);
    });
    assert_eq!(bare.unwrap(), unchanged("Request"));
    let price = body("Offer", |body| body["Price"] = json!(4));
    assert!(matches!(price.unwrap(), Body::Offer(it) if it.terms.price_eur == Some(4.0)));
    let elsewhere = body("NetworkState", |body| body["Magnitude"] = json!(1)).unwrap_err();
    assert!(elsewhere.contains("Magnitude: expected a quantity in kV"), "{elsewhere}");
}

#[test]
fn counts_may_be_strings_or_whole_floats() {
    for count in [json!(2), json!("2"), json!(2.0)] {
        assert_eq!(body("Offer", |body| body["OfferCount"] = count).unwrap(), unchanged("Offer"));
    }
    for count in [json!(-1), json!(2.5), json!("two"), json!(null), json!(1e300)] {
        assert!(body("Offer", |body| body["OfferCount"] = count.clone()).is_err(), "{count}");
    }
}

#[test]
fn an_offer_without_any_terms_is_an_answer() {
    let missing = body("Offer", |body| {
        let kept = body.as_object_mut().unwrap();
        for name in
            ["ActivationTime", "Duration", "Direction", "RealPower", "Price", "CongestionId", "OfferId"]
        {
            kept.remove(name).unwrap();
        }
        body["CustomerIds"] = Value::Null;
        body["OfferCount"] = json!(0);
    });
    let Ok(Body::Offer(offer)) = missing else { panic!("{missing:?}") };
    assert_eq!((offer.terms.price_eur, offer.terms.customer_ids, offer.offer_count), (None, None, 0));
}

#[test]
fn customers_as_one_text_are_refused_and_not_taken_letter_by_letter() {
    let text = body("Request", |body| body["CustomerIds"] = json!("house 4")).unwrap_err();
    assert_eq!(text, "Request: CustomerIds: expected an array, found \"house 4\"");
}

#[test]
fn the_two_forms_of_a_network_state_are_told_apart_by_their_fields() {
    assert!(matches!(unchanged("NetworkState"), Body::NetworkState(NetworkState::Voltage(_))));
    let neither = body("NetworkState", |body| drop(body.as_object_mut().unwrap().remove("Magnitude")));
    let expected = "NetworkState: Magnitude: expected Magnitude (of a voltage) or MagnitudeSendingEnd (of a current), \
        found neither";
    assert_eq!(neither, Err(expected.to_owned()));
}

#[test]
fn a_conductor_may_be_spelled_as_python_takes_a_phase() {
    for node in [json!(1), json!("1"), json!(1.9)] {
        let phase = body("NetworkForecastState.Voltage", |body| body["Node"] = node.clone());
        assert_eq!(phase.unwrap(), unchanged("NetworkForecastState.Voltage"), "{node}");
    }
    for node in [json!(0), json!(4), json!("Neutral"), json!(null)] {
        assert!(body("NetworkForecastState.Voltage", |body| body["Node"] = node.clone()).is_err(), "{node}");
    }
}

#[test]
fn a_simple_value_has_a_decimal_point() {
    let integer = body("Simple", |body| body["SimpleValue"] = json!(10)).unwrap_err();
    assert_eq!(integer, "Simple: SimpleValue: expected a number with a decimal point, found the integer 10");
}

#[test]
fn a_loss_keeps_the_unit_that_its_sender_chose() {
    let watts = body("NetworkState.Loss", |body| body["RealPowerShunt"]["UnitOfMeasure"] = json!("W"));
    assert!(matches!(watts.unwrap(), Body::NetworkLoss(it) if it.real_power_shunt.unit == "W"));
}

#[test]
fn a_network_has_one_root_and_arrays_of_one_length() {
    let two_roots = body("Init.NIS.NetworkBusInfo", |body| body["BusType"][1] = json!("root")).unwrap_err();
    assert_eq!(two_roots, "Init.NIS.NetworkBusInfo: BusType: expected exactly one `root`, found 2");
    let short = body("Init.NIS.NetworkComponentInfo", |body| body["DeviceId"] = json!(["tr1"])).unwrap_err();
    assert_eq!(
        short,
        "Init.NIS.NetworkComponentInfo: SendingEndBus: expected as many elements as DeviceId has, 1, found 2"
    );
}
