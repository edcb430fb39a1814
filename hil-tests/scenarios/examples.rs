//! The example configurations of the repository: each is sound as it stands.

use gridloop_platform_manager::Configuration;
use std::path::Path;

#[test]
fn every_example_configuration_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples");
    let entries = std::fs::read_dir(&folder).expect("the folder of examples");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let examples: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    assert!(examples.len() >= 9, "{examples:?}");
    for path in examples {
        if let Err(errors) = Configuration::load(&path, &[]) {
            panic!("{}: {errors}", path.display());
        }
    }
}
