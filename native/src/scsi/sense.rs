//! Sense data (SPC-4 §4.5): why a command failed, in fixed or descriptor format.

/// Sense keys (SPC-4 table 43).
pub mod key {
    pub const NO_SENSE: u8 = 0x0;
    pub const NOT_READY: u8 = 0x2;
    pub const MEDIUM_ERROR: u8 = 0x3;
    pub const HARDWARE_ERROR: u8 = 0x4;
    pub const ILLEGAL_REQUEST: u8 = 0x5;
    pub const UNIT_ATTENTION: u8 = 0x6;
    pub const DATA_PROTECT: u8 = 0x7;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    pub key: u8,
    /// Additional sense code and its qualifier.
    pub asc: u8,
    pub ascq: u8,
    /// The logical block at which the command failed.
    pub information: Option<u64>,
    /// The invalid field of an illegal request.
    pub field: Option<Field>,
}

/// A byte of a CDB, or of a parameter list (SPC-4 §4.5.2.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Cdb(u16),
    Parameter(u16),
}

const fn sense(key: u8, asc: u8, ascq: u8) -> Sense {
    Sense { key, asc, ascq, information: None, field: None }
}

pub const NONE: Sense = sense(key::NO_SENSE, 0x00, 0x00);
pub const NO_MEDIUM: Sense = sense(key::NOT_READY, 0x3a, 0x00);
pub const NO_MEDIUM_TRAY_CLOSED: Sense = sense(key::NOT_READY, 0x3a, 0x01);
pub const NO_MEDIUM_TRAY_OPEN: Sense = sense(key::NOT_READY, 0x3a, 0x02);
pub const UNRECOVERED_READ: Sense = sense(key::MEDIUM_ERROR, 0x11, 0x00);
pub const WRITE_ERROR: Sense = sense(key::MEDIUM_ERROR, 0x0c, 0x00);
pub const TARGET_FAILURE: Sense = sense(key::HARDWARE_ERROR, 0x44, 0x00);
pub const INVALID_OPERATION: Sense = sense(key::ILLEGAL_REQUEST, 0x20, 0x00);
pub const PARAMETER_LIST_LENGTH: Sense = sense(key::ILLEGAL_REQUEST, 0x1a, 0x00);
pub const OUT_OF_RANGE: Sense = sense(key::ILLEGAL_REQUEST, 0x21, 0x00);
pub const UNIT_NOT_SUPPORTED: Sense = sense(key::ILLEGAL_REQUEST, 0x25, 0x00);
/// Cannot read the medium: incompatible format.
pub const INCOMPATIBLE_FORMAT: Sense = sense(key::ILLEGAL_REQUEST, 0x30, 0x02);
pub const SAVING_NOT_SUPPORTED: Sense = sense(key::ILLEGAL_REQUEST, 0x39, 0x00);
pub const REMOVAL_PREVENTED: Sense = sense(key::ILLEGAL_REQUEST, 0x53, 0x02);
pub const WRONG_TRACK_MODE: Sense = sense(key::ILLEGAL_REQUEST, 0x64, 0x00);
pub const WRITE_PROTECTED: Sense = sense(key::DATA_PROTECT, 0x27, 0x00);
/// Space allocation failed.
pub const NO_SPACE: Sense = sense(key::DATA_PROTECT, 0x27, 0x07);

/// A field of the CDB is invalid; `byte` is its first byte.
pub fn invalid_cdb(byte: u16) -> Sense {
    Sense { field: Some(Field::Cdb(byte)), ..sense(key::ILLEGAL_REQUEST, 0x24, 0x00) }
}

/// A field of the parameter list is invalid.
pub fn invalid_parameter(byte: u16) -> Sense {
    Sense { field: Some(Field::Parameter(byte)), ..sense(key::ILLEGAL_REQUEST, 0x26, 0x00) }
}

pub fn attention(asc: u8, ascq: u8) -> Sense {
    sense(key::UNIT_ATTENTION, asc, ascq)
}

impl Sense {
    /// At the logical block `block`.
    pub fn at(self, block: u64) -> Sense {
        Sense { information: Some(block), ..self }
    }

    pub fn encode(&self, descriptors: bool) -> Vec<u8> {
        if descriptors { self.descriptor_format() } else { self.fixed_format().to_vec() }
    }

    /// SPC-4 table 28.
    fn fixed_format(&self) -> [u8; 18] {
        let mut data = [0; 18];
        data[0] = 0x70;
        data[2] = self.key;
        data[7] = 10;
        data[12] = self.asc;
        data[13] = self.ascq;
        // The field has 32 bits here; without the VALID bit, it is not reported.
        if let Some(block) = self.information.and_then(|block| u32::try_from(block).ok()) {
            data[0] |= 0x80;
            data[3..7].copy_from_slice(&block.to_be_bytes());
        }
        if let Some(field) = self.field {
            data[15..18].copy_from_slice(&field.encode());
        }
        data
    }

    /// SPC-4 table 29.
    fn descriptor_format(&self) -> Vec<u8> {
        let mut data = vec![0x72, self.key, self.asc, self.ascq, 0, 0, 0, 0];
        if let Some(block) = self.information {
            // An information descriptor, valid.
            data.extend([0x00, 0x0a, 0x80, 0x00]);
            data.extend(block.to_be_bytes());
        }
        if let Some(field) = self.field {
            // A sense key specific descriptor.
            let [flags, high, low] = field.encode();
            data.extend([0x02, 0x06, 0, 0, flags, high, low, 0]);
        }
        data[7] = (data.len() - 8) as u8;
        data
    }
}

impl Field {
    /// The field pointer (SPC-4 table 32): SKSV, and C/D for a CDB.
    fn encode(self) -> [u8; 3] {
        let (flags, byte) = match self {
            Field::Cdb(byte) => (0xc0, byte),
            Field::Parameter(byte) => (0x80, byte),
        };
        let [high, low] = byte.to_be_bytes();
        [flags, high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_have_the_same_content() {
        let sense = UNRECOVERED_READ.at(0x1234_5678);
        let fixed = [0xf0, 0, 3, 0x12, 0x34, 0x56, 0x78, 10, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0];
        assert_eq!(sense.encode(false), fixed);
        let block = [0, 0x0a, 0x80, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78];
        assert_eq!(sense.encode(true), [&[0x72, 3, 0x11, 0, 0, 0, 0, 12][..], &block].concat());
    }

    #[test]
    fn a_block_beyond_32_bits_is_omitted_from_the_fixed_format() {
        let sense = WRITE_ERROR.at(1 << 32);
        assert_eq!(sense.encode(false)[..8], [0x70, 0, 3, 0, 0, 0, 0, 10]);
        assert_eq!(sense.encode(true)[12..20], (1u64 << 32).to_be_bytes());
    }

    #[test]
    fn the_sense_data_points_to_the_invalid_field() {
        assert_eq!(invalid_cdb(2).encode(false)[12..], [0x24, 0, 0, 0xc0, 0, 2]);
        let descriptor = [0x72, 5, 0x26, 0, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, 1, 4, 0];
        assert_eq!(invalid_parameter(0x104).encode(true), descriptor);
    }
}
