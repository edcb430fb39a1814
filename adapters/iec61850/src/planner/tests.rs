//! What a server says of its units and ranges, and what it says wrongly.

use super::*;
use crate::port::{Control, Outcome, PortError, Report};
use async_trait::async_trait;

/// A server that describes the units of one object, and has one answer to every read.
struct Told {
    layout: Layout,
    answer: Result<Data, String>,
}

#[async_trait]
impl MmsPort for Told {
    async fn browse(&mut self) -> Result<Vec<(String, Vec<String>)>, PortError> {
        Ok(Vec::new())
    }

    async fn layout(&mut self, _variable: &Variable) -> Result<Layout, PortError> {
        Ok(self.layout.clone())
    }

    async fn read(&mut self, variables: &[Variable]) -> Result<Vec<Result<Data, String>>, PortError> {
        Ok(vec![self.answer.clone(); variables.len()])
    }

    async fn write(&mut self, _variable: &Variable, _value: Data) -> Result<(), PortError> {
        Ok(())
    }

    async fn members(&mut self, _reference: &str) -> Result<Vec<Variable>, PortError> {
        Ok(Vec::new())
    }

    async fn control(&mut self, _control: &Control, _value: Data) -> Result<Outcome, PortError> {
        Ok(Outcome::Done)
    }

    async fn listen(&mut self, _report_id: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn reports(&mut self) -> Result<Vec<Report>, PortError> {
        Ok(Vec::new())
    }
}

fn directory() -> Directory {
    let items = ["MMXU1$MX$TotW", "MMXU1$CF$TotW$units", "MMXU1$CF$TotW$maxVal"].map(ToOwned::to_owned);
    Directory::new(vec![("IEDINV".to_owned(), items.to_vec())])
}

fn total() -> Variable {
    Variable::from_item("IEDINV", "MMXU1$MX$TotW").unwrap()
}

async fn factor(
    attributes: &[&str],
    answer: Result<Data, String>,
    scale: Option<f64>,
) -> Result<f64, DeviceError> {
    let attributes = attributes.iter().map(|name| ((*name).to_owned(), Layout::Leaf(Kind::Int)));
    let mut port = Told { layout: Layout::Structure(attributes.collect()), answer };
    let directory = directory();
    let mut planner = Planner { port: &mut port, directory: &directory, plan: Plan::default() };
    planner.factor(&total(), "mag.f", Unit::Watt, scale).await
}

#[tokio::test]
async fn a_unit_that_cannot_be_read_is_no_unit() {
    const BOTH: [&str; 2] = ["SIUnit", "multiplier"];
    let kilo = Data::Parts(vec![Data::Int(62), Data::Int(3)]);
    assert_eq!(factor(&BOTH, Ok(kilo.clone()), None).await, Ok(1000.0));
    assert_eq!(factor(&BOTH[..1], Ok(Data::Parts(vec![Data::Int(62)])), None).await, Ok(1.0));
    let unreadable = [
        Err("ObjectAccessDenied".to_owned()),
        Ok(Data::Parts(vec![Data::Int(62)])),
        Ok(Data::Parts(vec![Data::Int(62), Data::Text("k".into())])),
        Ok(Data::Int(62)),
    ];
    for answer in unreadable {
        let told = factor(&BOTH, answer.clone(), None).await.expect_err("it is unknown").to_string();
        assert!(told.contains("cannot be read; give a `scale`"), "{told}");
        assert_eq!(factor(&BOTH, answer, Some(1000.0)).await, Ok(1000.0));
    }
}

#[tokio::test]
async fn a_limit_with_a_whole_and_a_real_number_is_the_real_one() {
    let cases = [
        (Data::Parts(vec![Data::Int(75), Data::Float32(7.5)]), Some(7.5)),
        (Data::Parts(vec![Data::Float32(7.5)]), Some(7.5)),
        (Data::Parts(vec![Data::Int(75)]), Some(75.0)),
        (Data::Int(9), Some(9.0)),
        (Data::Parts(Vec::new()), None),
    ];
    for (answer, value) in cases {
        let mut port = Told { layout: Layout::Leaf(Kind::Other), answer: Ok(answer.clone()) };
        let directory = directory();
        let mut planner = Planner { port: &mut port, directory: &directory, plan: Plan::default() };
        assert_eq!(planner.configured(&total(), "maxVal").await, Ok(value), "{answer:?}");
    }
}
