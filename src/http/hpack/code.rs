//! The Huffman code of RFC 7541 appendix B. It is canonical, so that the lengths of its codes say all of it; the tables
//! of both directions are made from them when the crate is compiled.

/// Octets, and the end-of-string symbol behind them.
const SYMBOLS: usize = 257;
/// Bits of the longest code.
pub(super) const LONGEST: usize = 30;
/// The symbol that may only be a prefix of the padding.
pub(super) const EOS: u16 = 256;

#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// What both directions need of the code.
pub(super) struct Code {
    /// Code and its bits, by octet.
    pub encode: [(u32, u8); 256],
    /// By the next eight bits: the octet and its bits; 0 bits where the code is longer.
    pub short: [(u8, u8); 256],
    /// Symbols by length, then by value.
    pub symbols: [u16; SYMBOLS],
    /// By length: the first code of the next length, aligned to the left of 32 bits.
    pub limit: [u64; LONGEST + 1],
    /// By length: the first code.
    pub first: [u32; LONGEST + 1],
    /// By length: the place of its first symbol in `symbols`.
    pub offset: [u16; LONGEST + 1],
}

pub(super) static CODE: Code = make();

const fn make() -> Code {
    let mut c = Code {
        encode: [(0, 0); 256],
        short: [(0, 0); 256],
        symbols: [0; SYMBOLS],
        limit: [0; LONGEST + 1],
        first: [0; LONGEST + 1],
        offset: [0; LONGEST + 1],
    };
    let (mut code, mut placed, mut bits) = (0u32, 0, 1);
    while bits <= LONGEST {
        code <<= 1;
        c.first[bits] = code;
        c.offset[bits] = placed as u16;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == bits {
                c.symbols[placed] = symbol as u16;
                placed += 1;
                if symbol < 256 {
                    c.encode[symbol] = (code, bits as u8);
                }
                if bits <= 8 {
                    let mut at = (code << (8 - bits)) as usize;
                    let end = ((code + 1) << (8 - bits)) as usize;
                    while at < end {
                        c.short[at] = (symbol as u8, bits as u8);
                        at += 1;
                    }
                }
                code += 1;
            }
            symbol += 1;
        }
        c.limit[bits] = (code as u64) << (32 - bits);
        bits += 1;
    }
    c
}
