//! The configurations of the repository: each is sound as it stands.

use gridloop_platform_manager::Configuration;
use std::path::{Path, PathBuf};

#[test]
fn every_committed_configuration_is_sound() {
    for (folder, at_least) in [("configs", 0), ("configs/examples", 9), ("configs/scenarios", 5)] {
        let configurations = configurations(folder);
        assert!(configurations.len() >= at_least, "{folder}: {configurations:?}");
        for path in configurations {
            if let Err(errors) = Configuration::load(&path, &[]) {
                panic!("{}: {errors}", path.display());
            }
        }
    }
}

fn configurations(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let entries = std::fs::read_dir(&folder).expect("a folder of configurations");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect()
}
