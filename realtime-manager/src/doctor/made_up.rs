//! Made-up hosts for tests.

use super::host::Host;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A folder with files like a host's.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            tree.write(path, text.as_bytes());
        }
        tree
    }

    /// A healthy host with some files changed.
    pub(super) fn healthy_but(files: &[(&str, &str)]) -> Self {
        let tree = Self::of(HEALTHY);
        for (path, text) in files {
            tree.write(path, text.as_bytes());
        }
        tree
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        let place = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }

    pub(super) fn without(self, path: &str) -> Self {
        self.remove(path);
        self
    }

    pub(super) fn remove(&self, path: &str) {
        let place = self.0.path().join(path.trim_start_matches('/'));
        fs::remove_file(place).unwrap();
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn host(&self) -> Host<'_> {
        Host::at(self.root())
    }
}

/// A physical computer with nothing left to do.
pub(super) const HEALTHY: &[(&str, &str)] = &[
    ("/dev/cpu_dma_latency", ""),
    ("/proc/cmdline", "quiet isolcpus=3 nohz_full=3\n"),
    ("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu tsc constant_tsc\n"),
    ("/proc/loadavg", "0.12 0.43 0.27 1/83 7508\n"),
    ("/proc/meminfo", "MemTotal: 100 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"),
    ("/proc/self/cgroup", "0::/system.slice/gridloop.service\n"),
    (
        "/proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max locked memory         unlimited            unlimited            bytes     \n\
         Max realtime priority     90                   90                   \n",
    ),
    ("/proc/self/status", "Name:\tgridloop\nCapEff:\t0000000000000000\n"),
    ("/proc/self/uid_map", "         0          0 4294967295\n"),
    ("/proc/stat", "cpu  100 0 100 99800 0 0 0 0 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0\n"),
    ("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    ("/proc/sys/kernel/osrelease", "6.12.9-rt1\n"),
    ("/proc/sys/kernel/sched_rt_period_us", "1000000\n"),
    ("/proc/sys/kernel/sched_rt_runtime_us", "950000\n"),
    ("/proc/version", "Linux version 6.12.9-rt1 (x@y) (gcc) #1 SMP PREEMPT_RT Debian\n"),
    ("/sys/class/dmi/id/product_name", "PowerEdge R250\n"),
    ("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n"),
    ("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm \n"),
    ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"),
    ("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
    ("/sys/devices/system/cpu/isolated", "3\n"),
    ("/sys/devices/system/cpu/nohz_full", "3\n"),
    ("/sys/devices/system/cpu/online", "0-3\n"),
    ("/sys/fs/cgroup/system.slice/gridloop.service/cpu.max", "max 100000\n"),
    ("/sys/kernel/realtime", "1\n"),
];
