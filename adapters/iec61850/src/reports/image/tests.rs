use super::*;
use crate::data::Kind;
use proptest::prelude::*;
use std::time::Duration;

fn members() -> Vec<Variable> {
    ["MMXU1$MX$TotW", "MMXU1$MX$Hz"].map(|item| Variable::from_item("IEDINV", item).unwrap()).to_vec()
}

fn leaf() -> Layout {
    Layout::Leaf(Kind::Float32)
}

fn report(sequence: u16, values: &[(usize, f32)], complete: bool) -> Report {
    Report {
        sequence: Some(sequence),
        size: 2,
        members: values.iter().map(|(index, value)| (*index, Data::Float32(*value))).collect(),
        interrogated: complete,
        complete,
        ..Report::default()
    }
}

fn held(image: &Image, index: usize) -> Option<f64> {
    image.value(&members()[index], &leaf()).unwrap().and_then(|data| data.number())
}

fn now() -> MonoTime {
    MonoTime::default() + Duration::from_secs(1)
}

#[test]
fn everything_is_known_once_everything_was_told() {
    let mut image = Image::new(members());
    image.apply(report(0, &[(0, 1.0)], false), now()).unwrap();
    assert!(!image.is_whole(), "a change is not everything");
    image.apply(report(1, &[(0, 1.0)], true), now()).unwrap();
    assert!(!image.is_whole(), "half of it");
    image.apply(report(2, &[(1, 50.0)], true), now()).unwrap();
    assert!(image.is_whole());
    assert_eq!((held(&image, 0), held(&image, 1)), (Some(1.0), Some(50.0)));
    assert_eq!(image.whole_at(), Some(now()));
}

#[test]
fn a_gap_makes_the_image_doubtful_until_everything_was_told_again() {
    let mut image = Image::new(members());
    image.apply(report(0, &[(0, 1.0), (1, 50.0)], true), now()).unwrap();
    image.apply(report(2, &[(0, 3.0)], false), now()).unwrap();
    assert!(!image.is_whole());
    image.apply(report(3, &[(0, 3.0), (1, 50.0)], true), now()).unwrap();
    assert!(!image.is_whole(), "an integrity report from before it was asked for");
    assert!(image.asks() && !image.asks());
    image.apply(report(4, &[(0, 4.0), (1, 50.0)], true), now()).unwrap();
    assert!(image.is_whole());
}

#[test]
fn an_integrity_report_does_not_stand_for_the_interrogation_that_was_asked_for() {
    let mut image = Image::new(members());
    let integrity = Report { interrogated: false, ..report(0, &[(0, 1.0), (1, 50.0)], true) };
    image.apply(integrity, now()).unwrap();
    assert!(!image.is_whole(), "it may have been buffered long ago");
    image.apply(report(1, &[(0, 2.0), (1, 50.0)], true), now()).unwrap();
    assert!(image.is_whole());
    let later = now() + Duration::from_secs(5);
    let integrity = Report { interrogated: false, ..report(2, &[(0, 3.0), (1, 50.0)], true) };
    image.apply(integrity, later).unwrap();
    assert_eq!(image.whole_at(), Some(later));
}

#[test]
fn a_server_whose_clock_went_back_is_asked_for_everything() {
    let mut image = Image::new(members());
    let at = |time, told: Report| Report { entry_time_ms: Some(time), ..told };
    image.apply(at(1000, report(0, &[(0, 1.0), (1, 50.0)], true)), now()).unwrap();
    image.apply(at(400, report(1, &[(0, 2.0)], false)), now()).unwrap();
    assert!(!image.is_whole() && image.asks());
    assert_eq!(held(&image, 0), Some(1.0));
    image.apply(at(401, report(2, &[(0, 2.0), (1, 50.0)], true)), now()).unwrap();
    assert!(image.is_whole());
    image.apply(at(402, report(3, &[(0, 3.0)], false)), now()).unwrap();
    assert_eq!((image.is_whole(), held(&image, 0)), (true, Some(3.0)));
}

#[test]
fn an_overflow_of_the_buffer_is_a_gap() {
    let mut image = Image::new(members());
    image.apply(report(0, &[(0, 1.0), (1, 50.0)], true), now()).unwrap();
    image.apply(Report { overflow: true, ..report(1, &[(0, 2.0)], false) }, now()).unwrap();
    assert!(!image.is_whole());
}

#[test]
fn an_entry_that_was_heard_already_changes_nothing() {
    let mut image = Image::new(members());
    let entry = |sequence, id: u8, value| Report {
        entry_id: Some(vec![id]),
        ..report(sequence, &[(0, value)], false)
    };
    image.apply(entry(0, 7, 1.0), now()).unwrap();
    image.apply(entry(1, 7, 2.0), now()).unwrap();
    assert_eq!(held(&image, 0), Some(1.0));
    image.apply(entry(1, 8, 3.0), now()).unwrap();
    assert_eq!(held(&image, 0), Some(3.0));
}

#[test]
fn a_report_of_another_data_set_is_an_error_and_leaves_no_trace() {
    let mut image = Image::new(members());
    image.apply(Report { conf_rev: Some(1), ..report(0, &[(0, 1.0)], false) }, now()).unwrap();
    assert!(image.apply(Report { size: 3, ..report(1, &[(0, 2.0)], false) }, now()).is_err());
    assert!(image.apply(Report { conf_rev: Some(2), ..report(1, &[(0, 2.0)], false) }, now()).is_err());
    assert!(image.apply(report(1, &[(2, 2.0)], false), now()).is_err());
    assert_eq!(held(&image, 0), Some(1.0));
}

#[test]
fn parts_of_an_object_are_put_together_and_the_rest_stays_unknown() {
    let object = Variable::from_item("IEDINV", "MMXU1$MX$TotW").unwrap();
    let layout = Layout::Structure(vec![
        ("mag".into(), Layout::Structure(vec![("f".into(), leaf())])),
        ("q".into(), Layout::Leaf(Kind::Bits)),
    ]);
    let mut image = Image::new(vec![object.part("mag.f"), object.part("t")]);
    image.apply(report(0, &[(0, 9.0)], true), now()).unwrap();
    let value = image.value(&object, &layout).unwrap().unwrap();
    assert_eq!(value.at(&[0, 0]).and_then(Data::number), Some(9.0));
    assert_eq!(value.at(&[1]), Some(&Data::Octets(Vec::new())));
    assert_eq!(within(&object.part("mag"), &object), Some("mag"));
    let other = Variable::from_item("IEDINV", "MMXU1$MX$TotWh").unwrap();
    assert_eq!(within(&other, &object), None);
    image.apply(report(1, &[(1, 9.0)], true), now()).unwrap();
    assert!(image.value(&object, &layout).is_err(), "the layout has no `t`");
}

proptest! {
    #[test]
    fn a_value_older_than_the_one_held_never_replaces_it(times in prop::collection::vec(0..50_u64, 1..30)) {
        let mut image = Image::new(members());
        let mut newest = (0, 0.0);
        for (index, time) in times.iter().enumerate() {
            let sequence = u16::try_from(index).unwrap();
            let value = f32::from(sequence);
            let told = Report { entry_time_ms: Some(*time), ..report(sequence, &[(0, value)], false) };
            image.apply(told, now()).unwrap();
            if *time >= newest.0 {
                newest = (*time, f64::from(value));
            }
        }
        prop_assert_eq!(held(&image, 0), Some(newest.1));
    }

    #[test]
    fn a_lost_report_is_noticed(count in 2..600_u16, lost in 1..600_u16, wrap in any::<bool>()) {
        prop_assume!(lost < count);
        let mut image = Image::new(members());
        for index in (0..=count).filter(|index| *index != lost) {
            let sequence = if wrap { index % 256 } else { index };
            image.apply(report(sequence, &[(0, 1.0), (1, 2.0)], index == 0), now()).unwrap();
        }
        prop_assert!(!image.is_whole());
    }
}
