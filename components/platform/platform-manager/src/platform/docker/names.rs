//! How containers are called: `SimNN_<component>` (wire contract 4.4).
//!
//! The Python platform looks at running containers only, and fails when one that has ended still has the name. Here a
//! name is taken as long as the engine knows it.

use anyhow::ensure;
use std::collections::BTreeSet;

/// The largest index.
const INDEX_MAX: u8 = 99;

/// The name of a component's container.
pub(super) fn container(index: u8, component: &str) -> String {
    format!("Sim{index:02}_{component}")
}

/// The indices in use, given the names of all containers as the engine writes them: with a slash in front.
pub(super) fn taken(names: &[String]) -> BTreeSet<u8> {
    names.iter().filter_map(|name| index(name.trim_start_matches('/'))).collect()
}

fn index(name: &str) -> Option<u8> {
    let (digits, _) = name.strip_prefix("Sim")?.split_once('_')?;
    let is_index = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_index.then(|| digits.parse().ok())?
}

/// The smallest index that is not in use.
pub(super) fn smallest_free(taken: &BTreeSet<u8>) -> Option<u8> {
    (0..=INDEX_MAX).find(|index| !taken.contains(index))
}

/// Whether Docker takes the name of this component in the name of a container.
pub(super) fn check(component: &str) -> anyhow::Result<()> {
    ensure!(
        component.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)),
        "no container can be named after `{component}`: Docker takes letters of ASCII, digits, `_`, `.` and `-` only"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(names: &[&str]) -> Option<u8> {
        smallest_free(&taken(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()))
    }

    #[test]
    fn the_index_is_the_smallest_that_nobody_uses() {
        assert_eq!(free(&[]), Some(0));
        assert_eq!(free(&["/Sim00_grid", "/Sim01_grid", "/Sim03_grid"]), Some(2));
    }

    #[test]
    fn other_containers_do_not_count() {
        assert_eq!(
            free(&["/rabbitmq", "/Sim0_grid", "/Sim000_grid", "/Sim00", "/sim00_grid", "/Sim+0_grid"]),
            Some(0)
        );
    }

    #[test]
    fn there_are_a_hundred_of_them() {
        let names: Vec<String> = (0..=INDEX_MAX).map(|index| format!("/{}", container(index, "x"))).collect();
        assert_eq!(smallest_free(&taken(&names)), None);
        assert_eq!(smallest_free(&taken(&names[..99])), Some(99));
    }

    #[test]
    fn a_name_that_docker_would_refuse_is_refused_before() {
        assert!(check("load_1.a-b").is_ok());
        let error = check("load 1").expect_err("a blank").to_string();
        assert!(error.contains("`load 1`"), "{error}");
    }
}
