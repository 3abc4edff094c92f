//! The integers of HAProxy's own protocols, between peers and with SPOP agents: one octet below 240, else four bits in the
//! first and seven in each that follows.

/// Appends an integer.
pub fn put(out: &mut Vec<u8>, value: u64) {
    if value < 240 {
        out.push(value as u8);
        return;
    }
    out.push(value as u8 | 0xf0);
    let mut rest = (value - 240) >> 4;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest = (rest - 128) >> 7;
    }
    out.push(rest as u8);
}
