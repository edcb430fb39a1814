//! Without the library, or with something else in its place, there is an explanation and no engine. What OpenDSS does
//! when it is there is in `hil-tests/peers/opendss.rs`.

use gridloop_opendss::{DssError, OpenDss, OpenDssSettings};
use std::path::Path;

fn refused(library: &Path) -> DssError {
    let settings =
        OpenDssSettings { library: Some(library.to_owned()), model: "model.dss".into(), controls: false };
    OpenDss::open(&settings).map(|dss| dss.version().to_owned()).unwrap_err()
}

#[test]
fn a_library_that_is_not_there_is_named_with_where_to_have_it_from() {
    let error = refused(Path::new("/nonexistent/libdss_capi.so"));
    let told = error.to_string();
    assert!(told.contains("/nonexistent/libdss_capi.so") && told.contains("dss-python-backend"), "{told}");
}

#[test]
fn a_folder_without_the_library_is_no_library() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("libdss_capid-1234.so"), "the one with diagnostics").unwrap();
    assert!(matches!(refused(folder.path()), DssError::NotInFolder { .. }));
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libdss_capi.so");
    std::fs::write(&file, "no library").unwrap();
    assert!(matches!(refused(&file), DssError::Load { .. }));
}
