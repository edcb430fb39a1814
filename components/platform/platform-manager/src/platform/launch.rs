//! Starting in order, all or nothing: [`start_all`] (wire contract 4.4).

use super::plan::Launch;
use super::runner::Runner;
use anyhow::Context as _;

/// Makes everything ready, then starts one process after another; `told` hears of each. When one cannot be started, the
/// ones before it are ended and everything that was made is removed.
///
/// # Errors
/// Which one could not be started, and why.
pub async fn start_all(
    runner: &mut dyn Runner,
    launches: &[Launch],
    mut told: impl FnMut(&Launch, &str),
) -> anyhow::Result<()> {
    runner.prepare(launches).await?;
    for (index, launch) in launches.iter().enumerate() {
        match runner.start(index).await {
            Ok(place) => told(launch, &place),
            Err(error) => {
                let error = error
                    .context(format!("{} cannot be started; what was started is ended again", launch.name));
                return match runner.clean_up().await {
                    Ok(()) => Err(error),
                    Err(left) => Err(error).context(format!("something was left behind: {left:#}")),
                };
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::plan::Role;
    use crate::platform::runner::Exit;
    use async_trait::async_trait;

    /// Writes down what it is asked, and fails to start one.
    struct Fake {
        asked: Vec<String>,
        refuses: usize,
    }

    #[async_trait]
    impl Runner for Fake {
        async fn prepare(&mut self, launches: &[Launch]) -> anyhow::Result<()> {
            self.asked.push(format!("prepare {}", launches.len()));
            Ok(())
        }

        async fn start(&mut self, index: usize) -> anyhow::Result<String> {
            anyhow::ensure!(index != self.refuses, "no such program");
            self.asked.push(format!("start {index}"));
            Ok(format!("pid {index}"))
        }

        async fn next_exit(&mut self) -> Option<Exit> {
            None
        }

        async fn terminate(&mut self, _: usize) -> anyhow::Result<()> {
            Ok(())
        }

        async fn kill(&mut self, _: usize) -> anyhow::Result<()> {
            Ok(())
        }

        async fn last_lines(&mut self, _: usize, _: usize) -> Vec<String> {
            Vec::new()
        }

        async fn collect_logs(&mut self) -> anyhow::Result<()> {
            Ok(())
        }

        async fn clean_up(&mut self) -> anyhow::Result<()> {
            self.asked.push("clean up".into());
            Ok(())
        }

        async fn detach(&mut self) -> anyhow::Result<()> {
            Ok(())
        }
    }

    fn launches() -> Vec<Launch> {
        let launch = |name: &str| Launch {
            name: name.into(),
            role: Role::Component,
            component_type: "Any".into(),
            image: None,
            command: None,
            environment: Vec::new(),
            folder: ".".into(),
            manifest_folder: ".".into(),
        };
        vec![launch("log_writer"), launch("home1"), launch("Clock")]
    }

    #[tokio::test]
    async fn everything_is_made_ready_before_the_first_is_started_and_the_order_is_kept() {
        let mut runner = Fake { asked: Vec::new(), refuses: 9 };
        let mut started = Vec::new();
        let told = |launch: &Launch, place: &str| started.push(format!("{} {place}", launch.name));
        start_all(&mut runner, &launches(), told).await.expect("a start");
        assert_eq!(runner.asked, ["prepare 3", "start 0", "start 1", "start 2"]);
        assert_eq!(started, ["log_writer pid 0", "home1 pid 1", "Clock pid 2"]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_started_ends_those_before_it_and_is_named() {
        let mut runner = Fake { asked: Vec::new(), refuses: 2 };
        let error = start_all(&mut runner, &launches(), |_, _| {}).await.expect_err("no start");
        assert_eq!(runner.asked, ["prepare 3", "start 0", "start 1", "clean up"]);
        let told = format!("{error:#}");
        assert!(told.contains("Clock cannot be started") && told.contains("no such program"), "{told}");
    }
}
