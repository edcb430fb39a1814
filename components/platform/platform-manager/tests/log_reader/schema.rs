//! The OpenAPI document and the server keep each other's word: schemathesis asks what the one allows and what it does
//! not, and checks what the other answers.

use crate::generated::run;
use crate::rig::{Reader, store};
use gridloop_hil_tests::peers::python;
use std::process::Command;

#[tokio::test]
async fn schemathesis_finds_nothing_to_complain_about() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(21);
    store(&folder.path().join("runs"), &run).await;
    // Most requests are about a run that is there.
    let settings = format!("[parameters]\n\"path.id\" = \"{}\"\n", run.id);
    std::fs::write(folder.path().join("schemathesis.toml"), settings).unwrap();
    let reader = Reader::start(&["--store", &format!("sqlite:{}", folder.path().join("runs").display())]);
    let url = format!("http://{}/openapi.json", reader.address);
    let program = python().unwrap().with_file_name("schemathesis");
    // Not checked: that everything the schema allows is accepted, for it cannot say that epoch and endEpoch exclude
    // each other or what a place looks like.
    let output = Command::new(program)
        .args(["run", &url, "--seed", "7", "--max-examples", "25", "--phases", "examples,coverage,fuzzing"])
        .args([
            "--exclude-checks",
            "positive_data_acceptance,ignored_auth",
            "--generation-deterministic",
            "--no-color",
        ])
        .current_dir(folder.path())
        .output()
        .expect("schemathesis: `hil-tests/run` installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
