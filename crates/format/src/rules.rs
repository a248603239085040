//! Whether data is what it is said to be.

use super::{Finding, Kind};

/// What an image is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its disk format.
    pub disk: String,
    /// What that is wrapped in.
    pub container: String,
}

/// What is to be said of data, in one sentence for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be what it is said to be.
    Fits,
    /// It may be, if it ends with the mark of a fixed vhd.
    FitsWithFooter,
    /// It is not.
    Refused(String),
}

impl Declared {
    /// Judges data by what its beginning shows.
    ///
    /// Data that is wrapped in anything but `bare` is not looked into, for what begins there is the wrapping. A format
    /// that is not known here fits all that is safe.
    #[must_use]
    pub fn judge(&self, finding: &Finding) -> Verdict {
        if self.container != "bare" {
            return Verdict::Fits;
        }
        let kind = match finding {
            Finding::Unsafe { why, .. } => return Verdict::Refused(format!("the image {why}")),
            Finding::Kind { kind, .. } => *kind,
        };
        let fits = match self.disk.as_str() {
            "raw" | "ami" | "ari" | "aki" => matches!(kind, Kind::Plain | Kind::Partitioned),
            "vhd" if matches!(kind, Kind::Plain | Kind::Partitioned) => return Verdict::FitsWithFooter,
            "qcow2" => kind == Kind::Qcow2,
            "vmdk" => kind == Kind::Vmdk,
            "vhd" => kind == Kind::Vhd,
            "vhdx" => kind == Kind::Vhdx,
            "vdi" => kind == Kind::Vdi,
            "iso" => kind == Kind::Iso,
            "ploop" => kind == Kind::Ploop,
            _ => true,
        };
        if fits { Verdict::Fits } else { Verdict::Refused(self.mismatch(kind)) }
    }

    /// Judges data of which nobody knows whether it stays as it is: it may be anything but what is not to be opened.
    #[must_use]
    pub fn judge_safety(&self, finding: &Finding) -> Verdict {
        match finding {
            Finding::Unsafe { why, .. } if self.container == "bare" => {
                Verdict::Refused(format!("the image {why}"))
            }
            _ => Verdict::Fits,
        }
    }

    /// The sentence about data that is of another kind.
    #[must_use]
    pub fn mismatch(&self, kind: Kind) -> String {
        format!("disk_format: the image is said to be {} and its data is {}", self.disk, kind.name())
    }
}
