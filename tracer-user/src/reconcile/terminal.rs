//! The controlling terminal of a process, from `/proc`.

/// Its name as `tty(1)` shows it, without `/dev/`: `pts/3`, `tty1`, `ttyS0`, `console`. `None` without one, or for one whose
/// kind has no name here.
pub(super) fn of(stat: &str) -> Option<String> {
    let (_, after_name) = stat.rsplit_once(')')?;
    // Field 7 of `proc_pid_stat(5)`, a number that is signed there.
    let number: i32 = after_name.split_whitespace().nth(4)?.parse().ok()?;
    name(number.cast_unsigned())
}

/// By the major and minor numbers of `Documentation/admin-guide/devices.txt`, packed as in `new_encode_dev` of the kernel.
fn name(device: u32) -> Option<String> {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | (device >> 12) & 0xf_ff00);
    match major {
        4 if minor < 64 => Some(format!("tty{minor}")),
        4 => Some(format!("ttyS{}", minor - 64)),
        5 if minor == 1 => Some("console".to_owned()),
        136..=143 => Some(format!("pts/{}", minor + 256 * (major - 136))),
        204 if minor >= 64 => Some(format!("ttyAMA{}", minor - 64)),
        229 => Some(format!("hvc{minor}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_names() {
        for (device, expected) in [
            (136 << 8, "pts/0"),
            (136 << 8 | 17, "pts/17"),
            (136 << 8 | 1 << 20 | 1, "pts/257"),
            (4 << 8 | 1, "tty1"),
            (4 << 8 | 64, "ttyS0"),
            (5 << 8 | 1, "console"),
            (229 << 8, "hvc0"),
        ] {
            assert_eq!(name(device).as_deref(), Some(expected));
        }
        assert_eq!(name(0), None);
    }

    #[test]
    fn it_stands_behind_the_name_of_the_process() {
        assert_eq!(of("7 (a) 1 2 3 4) S 1 7 7 34816 0 0").as_deref(), Some("pts/0"));
        assert_eq!(of("7 (su) S 1 7 7 0 -1 0"), None);
        assert_eq!(of("7 (su) S 1"), None);
        assert_eq!(of(""), None);
    }
}
