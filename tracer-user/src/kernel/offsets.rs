//! Where the running kernel keeps what the programs read: struct fields from its BTF, tracepoint fields from their
//! `format` files. No offset is written down here as a number.

use std::fs;
use std::path::{Path, PathBuf};

use btfparse::{Offset, TypeInformation, TypeVariant};
use thiserror::Error;
use tracer_ebpf::Offsets;

/// The kernel's own description of its types.
pub(super) const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// What keeps an offset from being known.
#[derive(Debug, Error)]
pub enum OffsetError {
    #[error(
        "the kernel describes its types nowhere ({BTF_PATH}): it was built without CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf { source: std::io::Error },
    #[error("the kernel's description of its types ({BTF_PATH}) cannot be read: {detail}")]
    BadBtf { detail: String },
    #[error("the kernel has no field {of}.{path}")]
    NoField { of: &'static str, path: String },
    #[error("tracefs is not mounted")]
    NoTracefs,
    #[error("cannot read {path}")]
    Format { path: PathBuf, source: std::io::Error },
    #[error("{path} describes no field {field}")]
    NoFormatField { path: PathBuf, field: &'static str },
}

/// What is known of the kernel that runs.
pub(super) struct Resolved {
    pub(super) offsets: Offsets,
    /// Tracepoints without a usable `format` file, each with the reason; the offsets of their fields are zero.
    pub(super) undescribed: Vec<(&'static str, OffsetError)>,
}

/// The fields of a tracepoint's record that the programs read, each with its place among the offsets.
struct Record {
    /// Category and name, as a path below `events`.
    tracepoint: &'static str,
    fields: &'static [(&'static str, Destination)],
}

/// The one among the offsets that is to be filled in.
type Destination = fn(&mut Offsets) -> &mut u32;

const RECORDS: [Record; 5] = [
    Record {
        tracepoint: "sched/sched_process_exec",
        fields: &[("filename", |offsets| &mut offsets.exec_filename)],
    },
    Record {
        tracepoint: "sched/sched_process_fork",
        fields: &[("child_pid", |offsets| &mut offsets.fork_child_pid)],
    },
    Record {
        tracepoint: "timer/itimer_state",
        fields: &[
            ("which", |offsets| &mut offsets.itimer_which),
            ("value_sec", |offsets| &mut offsets.itimer_value_sec),
            ("value_nsec", |offsets| &mut offsets.itimer_value_nsec),
        ],
    },
    Record {
        tracepoint: "syscalls/sys_exit_setresuid",
        fields: &[("ret", |offsets| &mut offsets.exit_setresuid_ret)],
    },
    Record {
        tracepoint: "syscalls/sys_enter_sendto",
        fields: &[
            ("buff", |offsets| &mut offsets.enter_sendto_buff),
            ("len", |offsets| &mut offsets.enter_sendto_len),
        ],
    },
];

/// Resolves everything for the kernel that runs. `tracefs` is where tracefs is mounted.
pub(super) fn resolve(tracefs: Option<&Path>) -> Result<Resolved, OffsetError> {
    let types = Types::of_running_kernel()?;
    let mut offsets = types.offsets()?;
    let mut undescribed = Vec::new();
    for record in &RECORDS {
        let described = tracefs.ok_or(OffsetError::NoTracefs).and_then(|tracefs| {
            let path = tracefs.join("events").join(record.tracepoint).join("format");
            record.describe(&path, &mut offsets)
        });
        if let Err(error) = described {
            undescribed.push((record.tracepoint, error));
        }
    }
    Ok(Resolved { offsets, undescribed })
}

impl Record {
    fn describe(&self, path: &Path, offsets: &mut Offsets) -> Result<(), OffsetError> {
        let text = fs::read_to_string(path)
            .map_err(|source| OffsetError::Format { path: path.to_owned(), source })?;
        for &(field, place) in self.fields {
            let missing = || OffsetError::NoFormatField { path: path.to_owned(), field };
            *place(offsets) = format_field_offset(&text, field).ok_or_else(missing)?;
        }
        Ok(())
    }
}

/// The kernel's description of its types.
pub(super) struct Types(TypeInformation);

impl Types {
    pub(super) fn of_running_kernel() -> Result<Self, OffsetError> {
        let bytes = fs::read(BTF_PATH).map_err(|source| OffsetError::NoBtf { source })?;
        let types = TypeInformation::new(&Bytes(bytes));
        types.map(Self).map_err(|error| OffsetError::BadBtf { detail: format!("{error:?}") })
    }

    /// All fields of structs; those of tracepoints are zero.
    pub(super) fn offsets(&self) -> Result<Offsets, OffsetError> {
        let at = |of, path| self.offset(of, &[path]);
        let [registers_argument_2, registers_argument_3] = self.call_arguments()?;
        Ok(Offsets {
            task_pid: at("task_struct", "pid")?,
            task_tgid: at("task_struct", "tgid")?,
            task_real_parent: at("task_struct", "real_parent")?,
            // Renamed in Linux 5.5.
            task_start_boottime: self.offset("task_struct", &["start_boottime", "real_start_time"])?,
            task_exit_code: at("task_struct", "exit_code")?,
            task_cred: at("task_struct", "cred")?,
            task_mm: at("task_struct", "mm")?,
            task_files: at("task_struct", "files")?,
            task_signal: at("task_struct", "signal")?,
            task_children: at("task_struct", "children")?,
            task_sibling: at("task_struct", "sibling")?,
            list_prev: at("list_head", "prev")?,
            cred_uid: at("cred", "uid.val")?,
            cred_euid: at("cred", "euid.val")?,
            cred_suid: at("cred", "suid.val")?,
            mm_exe_file: at("mm_struct", "exe_file")?,
            mm_arg_start: at("mm_struct", "arg_start")?,
            mm_arg_end: at("mm_struct", "arg_end")?,
            file_dentry: at("file", "f_path.dentry")?,
            file_inode: at("file", "f_inode")?,
            file_private_data: at("file", "private_data")?,
            dentry_name: at("dentry", "d_name.name")?,
            inode_uid: at("inode", "i_uid.val")?,
            inode_mode: at("inode", "i_mode")?,
            files_fdt: at("files_struct", "fdt")?,
            fdtable_fd: at("fdtable", "fd")?,
            fdtable_max_fds: at("fdtable", "max_fds")?,
            socket_sk: at("socket", "sk")?,
            sock_family: at("sock", "__sk_common.skc_family")?,
            sock_state: at("sock", "__sk_common.skc_state")?,
            sock_protocol: at("sock", "sk_protocol")?,
            sock_protocol_size: self.size("sock", "sk_protocol")?,
            sock_peer_port: at("sock", "__sk_common.skc_dport")?,
            sock_local_port: at("sock", "__sk_common.skc_num")?,
            sock_peer_v4: at("sock", "__sk_common.skc_daddr")?,
            sock_local_v4: at("sock", "__sk_common.skc_rcv_saddr")?,
            sock_peer_v6: at("sock", "__sk_common.skc_v6_daddr")?,
            sock_local_v6: at("sock", "__sk_common.skc_v6_rcv_saddr")?,
            signal_tty: at("signal_struct", "tty")?,
            signal_live: at("signal_struct", "live.counter")?,
            tty_name: at("tty_struct", "name")?,
            binprm_filename: at("linux_binprm", "filename")?,
            itimerspec_value_sec: at("itimerspec64", "it_value.tv_sec")?,
            itimerspec_value_nsec: at("itimerspec64", "it_value.tv_nsec")?,
            registers_argument_2,
            registers_argument_3,
            // Filled in from the `format` files.
            exec_filename: 0,
            fork_child_pid: 0,
            itimer_which: 0,
            itimer_value_sec: 0,
            itimer_value_nsec: 0,
            exit_setresuid_ret: 0,
            enter_sendto_buff: 0,
            enter_sendto_len: 0,
        })
    }

    /// The second and the third argument of a system call among the registers, by the psABI of the processor.
    #[cfg(target_arch = "x86_64")]
    fn call_arguments(&self) -> Result<[u32; 2], OffsetError> {
        Ok([self.offset("pt_regs", &["si"])?, self.offset("pt_regs", &["dx"])?])
    }

    /// The second and the third argument of a system call among the registers, by the psABI of the processor.
    #[cfg(target_arch = "aarch64")]
    fn call_arguments(&self) -> Result<[u32; 2], OffsetError> {
        let first = self.offset("pt_regs", &["regs"])?;
        Ok([1, 2].map(|number| first + number * size_of::<u64>() as u32))
    }

    /// The first of `paths` that the struct has, in bytes. Each path may go through nested structs by dots.
    fn offset(&self, of: &'static str, paths: &[&str]) -> Result<u32, OffsetError> {
        self.member(of, paths).map(|(_, bytes)| bytes)
    }

    fn size(&self, of: &'static str, path: &str) -> Result<u32, OffsetError> {
        let (type_id, _) = self.member(of, &[path])?;
        let size =
            self.0.size_of(type_id).map_err(|error| OffsetError::BadBtf { detail: format!("{error:?}") })?;
        u32::try_from(size)
            .map_err(|_| OffsetError::BadBtf { detail: format!("size of {of}.{path} is {size}") })
    }

    fn member(&self, of: &'static str, paths: &[&str]) -> Result<(u32, u32), OffsetError> {
        let missing = || OffsetError::NoField { of, path: paths.join(" or ") };
        let id = self.struct_id(of).ok_or_else(missing)?;
        let found = paths.iter().find_map(|path| self.0.offset_of(id, path).ok()).ok_or_else(missing)?;
        match found {
            (type_id, Offset::ByteOffset(bytes)) => Ok((type_id, bytes)),
            // A bit field cannot be read as a whole; none of ours is one.
            (_, Offset::BitOffsetAndSize(..)) => Err(missing()),
        }
    }

    /// Types share their names with functions and others; the structs are meant.
    fn struct_id(&self, name: &str) -> Option<u32> {
        let is_struct = |id: &u32| matches!(self.0.from_id(*id), Some(TypeVariant::Struct(_)));
        if let Some(id) = self.0.id_of(name).filter(is_struct) {
            return Some(id);
        }
        let mut structs =
            self.0.get().iter().filter(|(_, variant)| matches!(variant, TypeVariant::Struct(_)));
        structs.find(|(id, _)| self.0.name_of(**id).as_deref() == Some(name)).map(|(id, _)| *id)
    }
}

/// The whole description in memory: it is read in thousands of small pieces.
struct Bytes(Vec<u8>);

impl btfparse::Readable for Bytes {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> btfparse::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let piece = self.0.get(start..).and_then(|rest| rest.get(..buffer.len()));
        let piece = piece.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
        buffer.copy_from_slice(piece);
        Ok(())
    }
}

/// Finds `field` in the text of a tracepoint's `format` file, whose lines read
/// `field:long ret; offset:16; size:8; signed:1;`, with tabs between the parts.
fn format_field_offset(text: &str, field: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut parts = line.trim().split(';').map(str::trim);
        let declaration = parts.next()?.strip_prefix("field:")?;
        // The name is the last word, without the brackets of an array.
        let name = declaration.split_whitespace().next_back()?;
        if name.split('[').next() != Some(field) {
            return None;
        }
        parts.find_map(|part| part.strip_prefix("offset:"))?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMAT: &str = "name: sys_exit_setresuid\nID: 320\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n\
        \tfield:char comm[16];\toffset:24;\tsize:16;\tsigned:0;\n\n\
        print fmt: \"0x%lx\", REC->ret\n";

    #[test]
    fn fields_are_found_by_their_name() {
        assert_eq!(format_field_offset(FORMAT, "ret"), Some(16));
        assert_eq!(format_field_offset(FORMAT, "comm"), Some(24));
        assert_eq!(format_field_offset(FORMAT, "long"), None);
        assert_eq!(format_field_offset(FORMAT, "retval"), None);
        assert_eq!(format_field_offset("", "ret"), None);
    }

    proptest! {
        #[test]
        fn no_format_text_panics(text in "(field:|offset:|[a-z ;:\t\n0-9\\[\\]]){0,60}") {
            format_field_offset(&text, "ret");
        }
    }

    #[test]
    fn this_kernel_is_understood() {
        match Types::of_running_kernel() {
            Ok(types) => {
                let offsets = types.offsets().expect("every field has its place");
                assert_ne!(offsets.task_real_parent, 0);
                assert!([1, 2].contains(&offsets.sock_protocol_size));
            }
            Err(OffsetError::NoBtf { .. }) => println!("skipped: this kernel has no BTF"),
            Err(error) => panic!("{error}"),
        }
    }
}
