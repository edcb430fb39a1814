//! gridloop's simulated devices as mbpoll, which stands on libmodbus, sees them.

use crate::rig::{clock, eventually, inverter, tap_changer};
use gridloop_hil_tests::peers::{Registers, mbpoll, mbpoll_write};

#[tokio::test]
async fn mbpoll_reads_the_tap_changer_that_the_plant_is() -> anyhow::Result<()> {
    let clock = clock()?;
    let (server, _plant) = tap_changer(&clock).await?;
    let holding = mbpoll(server.local_addr(), Registers::Holding, 0, 18).await?;
    assert_eq!(holding, [3, 5, 0, 0, 0, 0, 230, 0, 0, 0, 0, 0, 0, 9, 1, 9, 0, 0]);
    assert_eq!(mbpoll(server.local_addr(), Registers::Input, 8, 2).await?, [0, 2300]);
    assert_eq!(mbpoll(server.local_addr(), Registers::Input, 36_600, 1).await?, [5]);
    Ok(())
}

#[tokio::test]
async fn a_pulse_that_mbpoll_writes_moves_the_taps() -> anyhow::Result<()> {
    let clock = clock()?;
    let (server, plant) = tap_changer(&clock).await?;
    let minus_two = u16::from_be_bytes((-2_i16).to_be_bytes());
    mbpoll_write(server.local_addr(), 17, minus_two).await?;
    eventually(&clock, "the position is 3", async || {
        Ok(mbpoll(server.local_addr(), Registers::Holding, 1, 1).await? == [3])
    })
    .await?;
    assert_eq!(mbpoll(server.local_addr(), Registers::Holding, 2, 2).await?, [0, 2]);
    assert_eq!(plant.with(|taps| taps.outputs().voltage_v), 230.0 * 0.95);
    Ok(())
}

#[tokio::test]
async fn mbpoll_is_refused_what_the_tap_changer_does_not_do() -> anyhow::Result<()> {
    let clock = clock()?;
    let (server, plant) = tap_changer(&clock).await?;
    let refused = mbpoll_write(server.local_addr(), 17, 4).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("Illegal data value")));
    let refused = mbpoll(server.local_addr(), Registers::Holding, 100, 1).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("Illegal data address")));
    assert_eq!(plant.with(|taps| taps.outputs().operations), 0);
    Ok(())
}

#[tokio::test]
async fn mbpoll_reads_the_marker_and_the_power_of_the_inverter() -> anyhow::Result<()> {
    let clock = clock()?;
    let (server, _plant) = inverter(&[1, 103, 123], &clock).await?;
    let head = mbpoll(server.local_addr(), Registers::Holding, 40_000, 4).await?;
    assert_eq!(head, [0x5375, 0x6E53, 1, 66]);
    let inverter_model = 40_002 + 68;
    let power = mbpoll(server.local_addr(), Registers::Holding, inverter_model + 14, 2).await?;
    assert_eq!(power, [8000, 0]);
    Ok(())
}
