use proptest::prelude::*;

use super::*;

fn qcow2(version: u32, backing: u64, needs: u64) -> Vec<u8> {
    let mut head = vec![0; 112];
    head[..4].copy_from_slice(b"QFI\xfb");
    head[4..8].copy_from_slice(&version.to_be_bytes());
    head[8..16].copy_from_slice(&backing.to_be_bytes());
    head[24..32].copy_from_slice(&(5_u64 << 30).to_be_bytes());
    head[72..80].copy_from_slice(&needs.to_be_bytes());
    head
}

fn vmdk(descriptor: &str) -> Vec<u8> {
    let mut head = vec![0; 512 * 21];
    head[..4].copy_from_slice(b"KDMV");
    head[12..20].copy_from_slice(&2048_u64.to_le_bytes());
    head[28..36].copy_from_slice(&1_u64.to_le_bytes());
    head[36..44].copy_from_slice(&20_u64.to_le_bytes());
    head[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    head
}

fn with(length: usize, marks: &[(usize, &[u8])]) -> Vec<u8> {
    let mut head = vec![0; length];
    for (place, mark) in marks {
        head[*place..*place + mark.len()].copy_from_slice(mark);
    }
    head
}

fn is_unsafe(head: &[u8]) -> bool {
    matches!(look(head), Finding::Unsafe { .. })
}

const SPARSE: &str =
    "# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicSparse\"\nRW 2048 SPARSE \"a.vmdk\"\n";

#[test]
fn each_kind_is_known_by_its_marks() {
    for (head, kind) in [
        (Vec::new(), Kind::Plain),
        (b"data".to_vec(), Kind::Plain),
        (with(512, &[(510, &[0x55, 0xaa])]), Kind::Partitioned),
        (qcow2(2, 0, 0), Kind::Qcow2),
        (qcow2(3, 0, 0), Kind::Qcow2),
        (qcow2(1, 0, 0), Kind::Qcow1),
        (vmdk(SPARSE), Kind::Vmdk),
        (with(512, &[(0, b"conectix")]), Kind::Vhd),
        (with(512, &[(0, b"vhdxfile")]), Kind::Vhdx),
        (with(512, &[(0x40, &[0x7f, 0x10, 0xda, 0xbe])]), Kind::Vdi),
        (with(HEAD, &[(0x8001, b"CD001"), (510, &[0x55, 0xaa])]), Kind::Iso),
        (with(512, &[(0, b"QED\0")]), Kind::Qed),
        (with(512, &[(0, b"LUKS\xba\xbe")]), Kind::Luks),
        (with(512, &[(0, b"WithoutFreeSpace")]), Kind::Ploop),
    ] {
        assert_eq!(look(&head).kind(), kind);
    }
}

#[test]
fn the_size_of_the_disk_is_what_the_header_says_or_that_of_the_data() {
    assert_eq!(look(&qcow2(3, 0, 0)).virtual_size(10), Some(5 << 30));
    assert_eq!(look(&vmdk(SPARSE)).virtual_size(10), Some(2048 * 512));
    assert_eq!(look(&with(512, &[(0, b"conectix"), (48, &7_u64.to_be_bytes())])).virtual_size(10), Some(7));
    let vdi = with(512, &[(0x40, &[0x7f, 0x10, 0xda, 0xbe]), (0x170, &9_u64.to_le_bytes())]);
    assert_eq!(look(&vdi).virtual_size(10), Some(9));
    assert_eq!(look(b"plain").virtual_size(5), Some(5));
    let huge = with(512, &[(0, b"conectix"), (48, &u64::MAX.to_be_bytes())]);
    assert_eq!(look(&huge).virtual_size(10), None);
    assert_eq!(look(&with(512, &[(0, b"vhdxfile")])).virtual_size(10), None);
}

#[test]
fn what_refers_to_other_files_or_is_not_known_is_unsafe() {
    for head in [
        qcow2(2, 8, 0),
        qcow2(3, 1 << 40, 0),
        qcow2(3, 0, 1 << 2),
        qcow2(3, 0, 1 << 5),
        qcow2(4, 0, 0),
        qcow2(3, 0, 0)[..60].to_vec(),
        b"QFI\xfb".to_vec(),
        SPARSE.as_bytes().to_vec(),
        format!("\n  {}", SPARSE.to_lowercase()).into_bytes(),
        b"COWD".to_vec(),
        b"KDMV".to_vec(),
        vmdk(""),
        vmdk(&SPARSE.replace("monolithicSparse", "monolithicFlat")),
        vmdk(&SPARSE.replace("SPARSE", "FLAT")),
        vmdk(&SPARSE.replace("a.vmdk", "/etc/passwd")),
        vmdk(&SPARSE.replace("a.vmdk", "..\\\\a")),
        vmdk(&format!("{SPARSE}RW 1 SPARSE \"b.vmdk\"\n")),
        vmdk(&format!("{SPARSE}\rrw 1 flat \"b\" 0\n")),
        vmdk(&SPARSE.replace("RW 2048 SPARSE \"a.vmdk\"\n", "")),
    ] {
        assert!(is_unsafe(&head), "{:?}", String::from_utf8_lossy(&head[..head.len().min(700)]));
    }
    assert!(!is_unsafe(&qcow2(2, 0, 1 << 2)), "version 2 has no such field");
    assert!(!is_unsafe(&vmdk(&SPARSE.replace("monolithicSparse", "streamOptimized"))));
}

#[test]
fn data_fits_what_it_is_said_to_be_and_nothing_else() {
    let declared = |disk: &str| Declared { disk: disk.into(), container: "bare".into() };
    let data = [
        ("raw", b"plain".to_vec()),
        ("qcow2", qcow2(3, 0, 0)),
        ("vmdk", vmdk(SPARSE)),
        ("vhd", with(512, &[(0, b"conectix")])),
        ("vhdx", with(512, &[(0, b"vhdxfile")])),
        ("vdi", with(512, &[(0x40, &[0x7f, 0x10, 0xda, 0xbe])])),
        ("iso", with(HEAD, &[(0x8001, b"CD001")])),
        ("ploop", with(512, &[(0, b"WithoutFreeSpace")])),
    ];
    for (said, _) in &data {
        for (is, head) in &data {
            let verdict = declared(said).judge(&look(head));
            match (said, is) {
                (said, is) if said == is => assert_eq!(verdict, Verdict::Fits, "{said}"),
                (&"vhd", &"raw") => assert_eq!(verdict, Verdict::FitsWithFooter),
                _ => {
                    let Verdict::Refused(message) = verdict else { panic!("{is} fits {said}") };
                    assert!(message.contains(said) && message.contains(is), "{message}");
                }
            }
        }
    }
    for disk in ["ami", "ari", "aki", "raw"] {
        assert_eq!(declared(disk).judge(&look(&with(512, &[(510, &[0x55, 0xaa])]))), Verdict::Fits);
    }
    let backed = look(&qcow2(3, 8, 0));
    for disk in ["qcow2", "raw", "another"] {
        assert!(matches!(declared(disk).judge(&backed), Verdict::Refused(_)), "{disk}");
    }
    let wrapped = Declared { disk: "qcow2".into(), container: "ova".into() };
    assert_eq!(wrapped.judge(&backed), Verdict::Fits);
}

#[test]
fn the_mark_of_a_fixed_vhd_stands_in_the_last_sector() {
    assert!(is_fixed_vhd(&with(512, &[(0, b"conectix")])));
    assert!(is_fixed_vhd(&with(600, &[(88, b"conectix")])));
    assert!(!is_fixed_vhd(&with(511, &[(0, b"conectix")])) && !is_fixed_vhd(b""));
}

proptest! {
    #[test]
    fn no_bytes_break_it(
        start in prop::sample::select(vec![&b""[..], b"QFI\xfb", b"KDMV", b"COWD", b"conectix", b"# Disk DescriptorFile"]),
        rest in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let head = [start, &rest].concat();
        let _ = look(&head).virtual_size(head.len() as u64);
    }
}
