//! Bit packing: 64 integers of `width` bits each in `width` little-endian words of 64 bits, lowest bits first.
//!
//! 64 values at a time, because then every width ends on a word, and one straight piece of code per width, because then all shifts are
//! constants: that is what makes unpacking as fast as memory. Packing takes a reference away and unpacking adds it again (frame of reference),
//! modulo 2^64, so no value is out of range.

/// Values packed together. See above.
pub(crate) const FRAME: usize = 64;

/// Most bytes of a packed frame: 64 bits a value.
const FRAME_BYTES_MAX: usize = FRAME * 8;

/// Bits that hold every number from 0 to `range`.
pub(crate) fn width(range: u64) -> u32 {
    u64::BITS - range.leading_zeros()
}

/// Bytes that `count` values of `width` bits take.
pub(crate) fn packed_bytes(count: usize, width: u32) -> usize {
    // count is at most the rows of a column and width at most 64: no overflow.
    (count * width as usize).div_ceil(8)
}

/// Appends `values - reference`, each of `width` bits; what does not fit the width is the caller's mistake.
pub(crate) fn pack(values: &[i64], reference: i64, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (frames, tail) = values.as_chunks::<FRAME>();
    for frame in frames {
        pack_frame(frame, reference, width, out);
    }
    if !tail.is_empty() {
        let mut padded = [reference; FRAME];
        padded[..tail.len()].copy_from_slice(tail);
        let start = out.len();
        pack_frame(&padded, reference, width, out);
        out.truncate(start + packed_bytes(tail.len(), width));
    }
}

/// Fills `out` from what `pack` wrote; `bytes` is `packed_bytes(out.len(), width)` long, and `width` at most 64.
pub(crate) fn unpack(bytes: &[u8], reference: i64, width: u32, out: &mut [i64]) {
    if width == 0 {
        out.fill(reference);
        return;
    }
    let (frames, tail) = out.as_chunks_mut::<FRAME>();
    let (full, rest) = bytes.split_at(frames.len() * width as usize * 8);
    for (frame, packed) in frames.iter_mut().zip(full.chunks_exact(width as usize * 8)) {
        unpack_frame(packed, reference, width, frame);
    }
    if !tail.is_empty() {
        let mut packed = [0u8; FRAME_BYTES_MAX];
        packed[..rest.len()].copy_from_slice(rest);
        let mut frame = [0i64; FRAME];
        unpack_frame(&packed[..width as usize * 8], reference, width, &mut frame);
        tail.copy_from_slice(&frame[..tail.len()]);
    }
}

macro_rules! each_of_64 {
    ($step:ident) => {
        $step!(0);
        $step!(1);
        $step!(2);
        $step!(3);
        $step!(4);
        $step!(5);
        $step!(6);
        $step!(7);
        $step!(8);
        $step!(9);
        $step!(10);
        $step!(11);
        $step!(12);
        $step!(13);
        $step!(14);
        $step!(15);
        $step!(16);
        $step!(17);
        $step!(18);
        $step!(19);
        $step!(20);
        $step!(21);
        $step!(22);
        $step!(23);
        $step!(24);
        $step!(25);
        $step!(26);
        $step!(27);
        $step!(28);
        $step!(29);
        $step!(30);
        $step!(31);
        $step!(32);
        $step!(33);
        $step!(34);
        $step!(35);
        $step!(36);
        $step!(37);
        $step!(38);
        $step!(39);
        $step!(40);
        $step!(41);
        $step!(42);
        $step!(43);
        $step!(44);
        $step!(45);
        $step!(46);
        $step!(47);
        $step!(48);
        $step!(49);
        $step!(50);
        $step!(51);
        $step!(52);
        $step!(53);
        $step!(54);
        $step!(55);
        $step!(56);
        $step!(57);
        $step!(58);
        $step!(59);
        $step!(60);
        $step!(61);
        $step!(62);
        $step!(63);
    };
}

fn pack_width<const W: usize>(values: &[i64; FRAME], reference: i64, out: &mut Vec<u8>) {
    let mut words = [0u64; W];
    macro_rules! step {
        ($i:literal) => {
            let value = values[$i].wrapping_sub(reference) as u64;
            let (word, shift) = ($i * W / 64, $i * W % 64);
            words[word] |= value << shift;
            if shift + W > 64 {
                words[word + 1] |= value >> (64 - shift);
            }
        };
    }
    each_of_64!(step);
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// With AVX2, which shifts four words by four distances at once, in half the time.
#[multiversion::multiversion(targets("x86_64+avx2"), dispatcher = "direct")]
fn unpack_width<const W: usize>(bytes: &[u8], reference: i64, out: &mut [i64; FRAME]) {
    let mut words = [0u64; W];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let mask = u64::MAX >> (64 - W);
    macro_rules! step {
        ($i:literal) => {
            let (word, shift) = ($i * W / 64, $i * W % 64);
            let mut value = words[word] >> shift;
            if shift + W > 64 {
                value |= words[word + 1] << (64 - shift);
            }
            out[$i] = ((value & mask) as i64).wrapping_add(reference);
        };
    }
    each_of_64!(step);
}

#[rustfmt::skip] // four widths a line
fn pack_frame(values: &[i64; FRAME], reference: i64, width: u32, out: &mut Vec<u8>) {
    match width {
        1 => pack_width::<1>(values, reference, out), 2 => pack_width::<2>(values, reference, out), 3 => pack_width::<3>(values, reference, out), 4 => pack_width::<4>(values, reference, out),
        5 => pack_width::<5>(values, reference, out), 6 => pack_width::<6>(values, reference, out), 7 => pack_width::<7>(values, reference, out), 8 => pack_width::<8>(values, reference, out),
        9 => pack_width::<9>(values, reference, out), 10 => pack_width::<10>(values, reference, out), 11 => pack_width::<11>(values, reference, out), 12 => pack_width::<12>(values, reference, out),
        13 => pack_width::<13>(values, reference, out), 14 => pack_width::<14>(values, reference, out), 15 => pack_width::<15>(values, reference, out), 16 => pack_width::<16>(values, reference, out),
        17 => pack_width::<17>(values, reference, out), 18 => pack_width::<18>(values, reference, out), 19 => pack_width::<19>(values, reference, out), 20 => pack_width::<20>(values, reference, out),
        21 => pack_width::<21>(values, reference, out), 22 => pack_width::<22>(values, reference, out), 23 => pack_width::<23>(values, reference, out), 24 => pack_width::<24>(values, reference, out),
        25 => pack_width::<25>(values, reference, out), 26 => pack_width::<26>(values, reference, out), 27 => pack_width::<27>(values, reference, out), 28 => pack_width::<28>(values, reference, out),
        29 => pack_width::<29>(values, reference, out), 30 => pack_width::<30>(values, reference, out), 31 => pack_width::<31>(values, reference, out), 32 => pack_width::<32>(values, reference, out),
        33 => pack_width::<33>(values, reference, out), 34 => pack_width::<34>(values, reference, out), 35 => pack_width::<35>(values, reference, out), 36 => pack_width::<36>(values, reference, out),
        37 => pack_width::<37>(values, reference, out), 38 => pack_width::<38>(values, reference, out), 39 => pack_width::<39>(values, reference, out), 40 => pack_width::<40>(values, reference, out),
        41 => pack_width::<41>(values, reference, out), 42 => pack_width::<42>(values, reference, out), 43 => pack_width::<43>(values, reference, out), 44 => pack_width::<44>(values, reference, out),
        45 => pack_width::<45>(values, reference, out), 46 => pack_width::<46>(values, reference, out), 47 => pack_width::<47>(values, reference, out), 48 => pack_width::<48>(values, reference, out),
        49 => pack_width::<49>(values, reference, out), 50 => pack_width::<50>(values, reference, out), 51 => pack_width::<51>(values, reference, out), 52 => pack_width::<52>(values, reference, out),
        53 => pack_width::<53>(values, reference, out), 54 => pack_width::<54>(values, reference, out), 55 => pack_width::<55>(values, reference, out), 56 => pack_width::<56>(values, reference, out),
        57 => pack_width::<57>(values, reference, out), 58 => pack_width::<58>(values, reference, out), 59 => pack_width::<59>(values, reference, out), 60 => pack_width::<60>(values, reference, out),
        61 => pack_width::<61>(values, reference, out), 62 => pack_width::<62>(values, reference, out), 63 => pack_width::<63>(values, reference, out), 64 => pack_width::<64>(values, reference, out),
        _ => unreachable!("a width is the bits of a 64-bit number, and 0 is handled before"),
    }
}

#[rustfmt::skip] // four widths a line
fn unpack_frame(bytes: &[u8], reference: i64, width: u32, out: &mut [i64; FRAME]) {
    match width {
        1 => unpack_width::<1>(bytes, reference, out), 2 => unpack_width::<2>(bytes, reference, out), 3 => unpack_width::<3>(bytes, reference, out), 4 => unpack_width::<4>(bytes, reference, out),
        5 => unpack_width::<5>(bytes, reference, out), 6 => unpack_width::<6>(bytes, reference, out), 7 => unpack_width::<7>(bytes, reference, out), 8 => unpack_width::<8>(bytes, reference, out),
        9 => unpack_width::<9>(bytes, reference, out), 10 => unpack_width::<10>(bytes, reference, out), 11 => unpack_width::<11>(bytes, reference, out), 12 => unpack_width::<12>(bytes, reference, out),
        13 => unpack_width::<13>(bytes, reference, out), 14 => unpack_width::<14>(bytes, reference, out), 15 => unpack_width::<15>(bytes, reference, out), 16 => unpack_width::<16>(bytes, reference, out),
        17 => unpack_width::<17>(bytes, reference, out), 18 => unpack_width::<18>(bytes, reference, out), 19 => unpack_width::<19>(bytes, reference, out), 20 => unpack_width::<20>(bytes, reference, out),
        21 => unpack_width::<21>(bytes, reference, out), 22 => unpack_width::<22>(bytes, reference, out), 23 => unpack_width::<23>(bytes, reference, out), 24 => unpack_width::<24>(bytes, reference, out),
        25 => unpack_width::<25>(bytes, reference, out), 26 => unpack_width::<26>(bytes, reference, out), 27 => unpack_width::<27>(bytes, reference, out), 28 => unpack_width::<28>(bytes, reference, out),
        29 => unpack_width::<29>(bytes, reference, out), 30 => unpack_width::<30>(bytes, reference, out), 31 => unpack_width::<31>(bytes, reference, out), 32 => unpack_width::<32>(bytes, reference, out),
        33 => unpack_width::<33>(bytes, reference, out), 34 => unpack_width::<34>(bytes, reference, out), 35 => unpack_width::<35>(bytes, reference, out), 36 => unpack_width::<36>(bytes, reference, out),
        37 => unpack_width::<37>(bytes, reference, out), 38 => unpack_width::<38>(bytes, reference, out), 39 => unpack_width::<39>(bytes, reference, out), 40 => unpack_width::<40>(bytes, reference, out),
        41 => unpack_width::<41>(bytes, reference, out), 42 => unpack_width::<42>(bytes, reference, out), 43 => unpack_width::<43>(bytes, reference, out), 44 => unpack_width::<44>(bytes, reference, out),
        45 => unpack_width::<45>(bytes, reference, out), 46 => unpack_width::<46>(bytes, reference, out), 47 => unpack_width::<47>(bytes, reference, out), 48 => unpack_width::<48>(bytes, reference, out),
        49 => unpack_width::<49>(bytes, reference, out), 50 => unpack_width::<50>(bytes, reference, out), 51 => unpack_width::<51>(bytes, reference, out), 52 => unpack_width::<52>(bytes, reference, out),
        53 => unpack_width::<53>(bytes, reference, out), 54 => unpack_width::<54>(bytes, reference, out), 55 => unpack_width::<55>(bytes, reference, out), 56 => unpack_width::<56>(bytes, reference, out),
        57 => unpack_width::<57>(bytes, reference, out), 58 => unpack_width::<58>(bytes, reference, out), 59 => unpack_width::<59>(bytes, reference, out), 60 => unpack_width::<60>(bytes, reference, out),
        61 => unpack_width::<61>(bytes, reference, out), 62 => unpack_width::<62>(bytes, reference, out), 63 => unpack_width::<63>(bytes, reference, out), 64 => unpack_width::<64>(bytes, reference, out),
        _ => unreachable!("a width is checked to be at most 64 when it is read, and 0 is handled before"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_length_returns() {
        for bits in 0..=64u32 {
            let mask = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
            for rows in [0, 1, 63, 64, 65, 200] {
                let reference = -7;
                let values: Vec<i64> = (0..rows as u64)
                    .map(|i| ((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask) as i64).wrapping_add(reference))
                    .collect();
                let mut out = Vec::new();
                pack(&values, reference, bits, &mut out);
                assert_eq!(out.len(), packed_bytes(rows, bits));
                let mut back = vec![0; rows];
                unpack(&out, reference, bits, &mut back);
                assert_eq!(values, back, "{bits} bits, {rows} rows");
            }
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 255, 256, u64::MAX].map(width), [0, 1, 2, 8, 9, 64]);
    }
}
