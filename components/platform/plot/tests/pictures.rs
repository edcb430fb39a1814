//! Pictures as whoever opens them meets them: well-formed, complete, the same for the same run, and honest about what
//! is missing or not reliable. The run is a made-up feeder; [`feeder`] tells its messages.

mod feeder;
mod xml;

use feeder::Feeder;
use gridloop_plot::{About, Limits, Missing, Options, Picture, Recording, draw};
use xml::Element;

fn about() -> About {
    About { simulation_id: "2026-11-22T15:19:25.203Z".into(), name: "A feeder".into(), ended: true }
}

fn limits() -> Limits {
    Limits {
        min_pu: Some(0.9),
        max_pu: Some(1.1),
        amber_min_pu: Some(0.92),
        amber_max_pu: Some(1.08),
        loading: Some(1.0),
        amber_loading: Some(0.9),
    }
}

fn svg(recording: &Recording, picture: Picture) -> String {
    let options = Options { limits: limits(), ..Options::default() };
    draw(recording, &about(), picture, &options).unwrap_or_else(|missing| panic!("{picture:?}: {missing}"))
}

fn drawn(recording: &Recording, picture: Picture) -> Element {
    xml::parse(&svg(recording, picture))
}

/// Where to look at what the tests draw: `PLOT_OUT=folder cargo test -p gridloop-plot`.
fn show(name: &str, svg: &str) {
    let Some(folder) = std::env::var_os("PLOT_OUT").map(std::path::PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.svg")), svg).unwrap();
    #[cfg(feature = "png")]
    std::fs::write(folder.join(format!("{name}.png")), gridloop_plot::png(svg).unwrap()).unwrap();
}

#[test]
fn every_picture_of_a_whole_feeder_is_well_formed_with_title_units_and_legend() {
    let recording = Feeder::default().recording();
    for picture in Picture::ALL {
        let text = svg(&recording, picture);
        show(picture.name(), &text);
        let svg = xml::parse(&text);
        assert_eq!(svg.name, "svg");
        let texts = svg.texts();
        assert_eq!(texts[0], "A feeder", "{picture:?}");
        assert!(
            texts[1].contains("2026-06-21 00:00 to 2026-06-22 00:00 UTC simulated, 24 epochs of 1 h"),
            "{texts:?}"
        );
        assert!(svg.count("path") > 0, "{picture:?}");
    }
    let panels = drawn(&recording, Picture::Overview).count_class("panel");
    // Of prices there are two.
    assert_eq!(panels, 7);
}

#[test]
fn buses_and_branches_of_one_name_in_two_networks_are_two_lines() {
    let mut recording = Feeder { buses: 1, branches: 1, ..Feeder::default() }.recording();
    let one = drawn(&recording, Picture::Voltages).texts();
    assert!(one.iter().any(|text| text == "bus 1, phase 1"), "{one:?}");
    for message in feeder::of_another_network(1) {
        recording.take(message);
    }
    let both = drawn(&recording, Picture::Voltages).texts();
    for name in ["grid: bus 1, phase 1", "other: bus 1, phase 1"] {
        assert!(both.iter().any(|text| text == name), "no {name} in {both:?}");
    }
    let branches = drawn(&recording, Picture::Currents).texts();
    assert!(branches.iter().any(|text| text == "other: L1"), "{branches:?}");
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for picture in Picture::ALL {
        assert_eq!(
            svg(&Feeder::default().recording(), picture),
            svg(&Feeder::default().recording(), picture),
            "{picture:?}"
        );
    }
}

#[test]
fn the_worst_bus_is_named_with_its_phase_its_voltage_and_its_instant() {
    let picture = drawn(&Feeder::default().recording(), Picture::Voltages);
    let texts = picture.texts();
    let worst = texts.iter().find(|text| text.starts_with("worst: ")).expect("the worst");
    assert_eq!(worst, "worst: house 10, phase 2, 0.8810 pu at 19:00");
    for label in ["max 1.1", "amber 1.08", "amber 0.92", "min 0.9"] {
        assert!(texts.iter().any(|text| text == label), "{label} is not among {texts:?}");
    }
}

#[test]
fn limits_that_nobody_tells_are_those_that_the_judgements_show() {
    let recording = Feeder { judged: true, ..Feeder::default() }.recording();
    let text = draw(&recording, &about(), Picture::Voltages, &Options::default()).unwrap();
    show("judged", &text);
    let texts = xml::parse(&text).texts();
    assert!(texts.iter().any(|text| text == "min 0.9"), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("Limits as the violations")), "{texts:?}");
}

#[test]
fn the_most_loaded_branch_is_named_and_its_rating_drawn() {
    let texts = drawn(&Feeder::default().recording(), Picture::Currents).texts();
    assert!(texts.iter().any(|text| text == "highest: L9, 104.0 % at 19:00"), "{texts:?}");
    assert!(texts.iter().any(|text| text == "100 %"), "{texts:?}");
}

#[test]
fn what_is_not_reliable_is_dotted_hatched_and_said_so() {
    let good = drawn(&Feeder::default().recording(), Picture::Powers);
    assert_eq!((good.count_class("doubt"), good.dotted()), (0, 0));
    let text = svg(&Feeder { doubt: true, ..Feeder::default() }.recording(), Picture::Powers);
    show("doubt", &text);
    let doubt = xml::parse(&text);
    assert!(doubt.count_class("doubt") > 0 && doubt.dotted() > 0);
    assert!(doubt.texts().iter().any(|text| text == "not reliable (dotted)"));
    let voltages =
        svg(&Feeder { doubt: true, buses: 40, ..Feeder::default() }.recording(), Picture::Voltages);
    show("doubt-envelope", &voltages);
    assert!(xml::parse(&voltages).count_class("doubt") > 0);
}

#[test]
fn five_hundred_buses_are_envelopes_with_the_worst_one_apart() {
    let recording = Feeder { buses: 500, ..Feeder::default() }.recording();
    let text = svg(&recording, Picture::Voltages);
    show("many-buses", &text);
    let picture = xml::parse(&text);
    assert_eq!(picture.count_class("envelope"), 3);
    assert!(text.len() < 100_000, "{} bytes", text.len());
    assert!(picture.texts().iter().any(|text| text == "phase 1: 500 buses"));
}

#[test]
fn sixty_buses_are_thin_lines_within_their_envelopes() {
    let text = svg(&Feeder { buses: 24, ..Feeder::default() }.recording(), Picture::Voltages);
    show("some-buses", &text);
    assert!(xml::parse(&text).count("path") > 70);
}

#[test]
fn many_resources_have_panels_by_category_and_the_small_ones_are_one() {
    let text = svg(&Feeder { resources: 30, ..Feeder::default() }.recording(), Picture::Powers);
    show("many-resources", &text);
    let texts = xml::parse(&text).texts();
    for expected in ["Generator, real power, kW towards the grid", "Load, real power, kW towards the grid"] {
        assert!(texts.iter().any(|text| text == expected), "{expected} is not among {texts:?}");
    }
    assert!(texts.iter().any(|text| text == "13 others"), "{texts:?}");
}

#[test]
fn one_epoch_is_a_picture() {
    let recording = Feeder { epochs: 1, ..Feeder::default() }.recording();
    for picture in Picture::ALL {
        let text = svg(&recording, picture);
        show(&format!("one-{}", picture.name()), &text);
        xml::parse(&text);
    }
}

#[test]
fn ten_thousand_epochs_are_a_small_picture() {
    let recording =
        Feeder { epochs: 10_000, epoch_s: 1, buses: 1, resources: 1, branches: 0, ..Feeder::default() }
            .recording();
    for picture in [Picture::Voltages, Picture::Powers, Picture::Overview] {
        let text = svg(&recording, picture);
        show(&format!("long-{}", picture.name()), &text);
        assert!(text.len() < 2_000_000, "{picture:?}: {} bytes", text.len());
        xml::parse(&text);
    }
}

#[test]
fn a_year_in_days_is_a_picture() {
    let recording = Feeder { epochs: 365, epoch_s: 86_400, buses: 2, ..Feeder::default() }.recording();
    let text = svg(&recording, Picture::Overview);
    show("year", &text);
    assert!(xml::parse(&text).texts().iter().any(|text| text == "Dec"));
}

#[test]
fn without_epochs_there_is_no_picture_and_the_reason_is_told() {
    let recording = Feeder { epochs: 0, ..Feeder::default() }.recording();
    for picture in Picture::ALL {
        let missing = draw(&recording, &about(), picture, &Options::default());
        assert_eq!(missing, Err(Missing::NoEpochs), "{picture:?}");
    }
}

#[test]
fn what_the_run_does_not_have_is_told() {
    let mut recording = Recording::default();
    let time = |text| gridloop_messages::Timestamp::parse(text).unwrap();
    recording.epoch(1, time("2026-06-21T12:00:00Z"), time("2026-06-21T13:00:00Z"));
    let missing = draw(&recording, &about(), Picture::Voltages, &Options::default()).unwrap_err();
    assert_eq!(missing.to_string(), "the run has no NetworkState messages of voltages");
}

#[test]
fn without_nominal_voltages_the_voltages_are_in_volts_and_no_limits_are_claimed() {
    let recording = Feeder { nis: false, ..Feeder::default() }.recording();
    let text = svg(&recording, Picture::Voltages);
    show("volts", &text);
    let texts = xml::parse(&text).texts();
    assert!(texts.iter().any(|text| text == "Voltages, V"), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("lowest: house 10, phase 2")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.starts_with("max")), "{texts:?}");
    let options = Options { nominal_kv: Some(0.4), limits: limits() };
    let given = draw(&recording, &about(), Picture::Voltages, &options).unwrap();
    assert!(xml::parse(&given).texts().iter().any(|text| text == "Voltages, pu"));
}

#[test]
fn names_are_text_whatever_is_in_them() {
    let feeder = Feeder {
        name: "<b> & \"c\" 'd' ]]> \u{1F50C} and a name that is far too long for the legend",
        ..Feeder::default()
    };
    let recording = feeder.recording();
    for picture in Picture::ALL {
        xml::parse(&svg(&recording, picture));
    }
    let text = svg(&recording, Picture::StateOfCharge);
    show("names", &text);
    assert!(xml::parse(&text).titles().iter().any(|title| title.starts_with("<b> & \"c\"")));
}

#[test]
fn flat_lines_and_enormous_values_have_axes() {
    for value in [0.0, 230.0, 1e300, -1e300, 1e-300, 1e307] {
        let recording = Feeder { flat: Some(value), ..Feeder::default() }.recording();
        let text = svg(&recording, Picture::Powers);
        show(&format!("flat-{value:e}"), &text);
        let numbers = ["NaN", "inf"];
        assert!(numbers.iter().all(|number| !text.contains(number)), "{value}: {text}");
        xml::parse(&text);
    }
}

#[cfg(feature = "png")]
#[test]
fn a_png_is_a_png_with_letters_in_it() {
    let recording = Feeder::default().recording();
    let text = svg(&recording, Picture::Voltages);
    let png = gridloop_plot::png(&text).unwrap();
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    // Without its texts the same picture is another one: the font was found.
    let silent: String =
        text.lines().filter(|line| !line.starts_with("<text")).map(|line| line.to_owned() + "\n").collect();
    assert!(gridloop_plot::png(&silent).unwrap().len() + 5000 < png.len());
}
