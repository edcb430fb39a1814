//! `gridloop doctor`: what of this computer stands in the way of epochs that start on time, and what to change.

use crate::cli::DoctorArgs;
use crate::context::{Context, FAILED};
use crate::display::print_line;
use gridloop_clock::Clock;
use gridloop_metrics::Durations;
use gridloop_realtime_manager::doctor::{Finding, Grade, examine, render};
use gridloop_realtime_manager::{PacerSettings, PacerThread, clock_synchronisation};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Wake-ups that are measured, and the time between two.
const WAKE_UPS: u32 = 200;
const PERIOD: Duration = Duration::from_millis(10);

pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let context = Context::new()?;
    let mut findings = examine(Path::new("/"));
    let thread = PacerThread::start(context.wall.clone(), PacerSettings::default())?;
    findings.push(privileges(&thread));
    findings.push(synchronisation());
    eprintln!("measuring {WAKE_UPS} wake-ups, one every {} ms ...", PERIOD.as_millis());
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    findings.push(runtime.block_on(wake_ups(&context, &thread)));
    if args.json {
        print_line(&serde_json::to_string_pretty(&findings)?)?;
    } else {
        print_line(render(&findings).trim_end())?;
    }
    let problems = findings.iter().any(|finding| finding.grade == Grade::Problem);
    Ok(if problems { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// What the pacer's thread was really granted.
fn privileges(thread: &PacerThread) -> Finding {
    let granted = thread.granted();
    let refused: Vec<String> = granted.all_refusals().map(ToString::to_string).collect();
    if refused.is_empty() {
        let found = format!("all granted: {}, memory locked, latency request held", granted.scheduler);
        return Finding::new("privileges", Grade::Good, found, String::new());
    }
    let names: Vec<&str> = granted.all_refusals().map(|refusal| refusal.what).collect();
    let means = "Without these an epoch starts as late as the scheduler, the memory or the idle states of the \
                 processors make it; usually a fraction of a millisecond, now and then tens of milliseconds.";
    Finding::new("privileges", Grade::Problem, format!("refused: {}", names.join(", ")), means)
        .with_remedy(refused.join("\n"))
}

fn synchronisation() -> Finding {
    const SUBJECT: &str = "clock synchronisation";
    let means = "Runs are paced by the monotonic clock all the same. But two labs that are to start together by \
                 `start_at`, and components on other hosts that read the instants of epochs, need clocks that agree.";
    match clock_synchronisation() {
        Err(error) => {
            Finding::new(SUBJECT, Grade::Unknown, format!("the kernel does not say: {error}"), means)
        }
        Ok(said) if said.synchronised => {
            let found = format!(
                "yes; at most {} us wrong, says the kernel, {:+.1} us still to be corrected",
                said.error_bound_us, said.offset_us
            );
            Finding::new(SUBJECT, Grade::Good, found, String::new())
        }
        Ok(_) => Finding::new(SUBJECT, Grade::Advice, "no", means).with_remedy(
            "Run a time service:\n    apt install chrony\nor PTP where microseconds matter (linuxptp).",
        ),
    }
}

/// How late this thread's wake-ups really are, now.
async fn wake_ups(context: &Context, thread: &PacerThread) -> Finding {
    let (clock, lateness) = (thread.clock(), Durations::default());
    let mut early = context.clock.now();
    for _ in 0..WAKE_UPS {
        early = early + PERIOD;
        clock.sleep_until(early).await;
        lateness.add(context.wall.now().since(early));
    }
    let measured = lateness.distribution();
    let (p50, p99, max) = (
        measured.p50.unwrap_or_default(),
        measured.p99.unwrap_or_default(),
        measured.max.unwrap_or_default(),
    );
    let found = format!("p50 {p50:.1} us, p99 {p99:.1} us, max {max:.1} us late, up to a task that waits");
    let means = "So late a component hears of its instant on this computer as it is loaded now. The Epoch itself leaves \
                 sooner, from the pacer's own thread; `gridloop run` reports how late each one was.";
    let grade = if p99 > 1000.0 { Grade::Advice } else { Grade::Good };
    Finding::new("wake-ups", grade, found, means)
}
