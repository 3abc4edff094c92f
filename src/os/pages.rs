//! Memory in large pages.
#![allow(unsafe_code)]

/// Less than this gains nothing.
const LEAST: usize = 4 << 20;
const PAGE: usize = 4096;

/// Asks the kernel to put a vector's room into large pages, where that is long. Reads that are spread over many megabytes
/// miss the TLB with each, else. It is best asked before the room is written to; a kernel that has no such pages changes
/// nothing.
pub fn prefer_large<T>(room: &Vec<T>) {
    let bytes = room.capacity() * size_of::<T>();
    if bytes < LEAST {
        return;
    }
    let start = (room.as_ptr() as usize).next_multiple_of(PAGE);
    let end = (room.as_ptr() as usize + bytes) / PAGE * PAGE;
    // SAFETY: the range lies inside an allocation that the vector owns, and the advice changes no byte of it.
    unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `/proc/self/smaps` says of the mapping that holds an address: the flags of its pages.
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let hex = |text: &str| usize::from_str_radix(text, 16).ok();
            match range.and_then(|(start, end)| Some(hex(start)?..hex(end)?)) {
                Some(range) => is_inside = range.contains(&address),
                None if is_inside && line.starts_with("VmFlags:") => return line.into(),
                None => {}
            }
        }
        panic!("no mapping")
    }

    #[test]
    fn long_vectors_are_asked_for_and_keep_what_they_hold() {
        let mut long = vec![7u64; 4 << 20];
        prefer_large(&long);
        long[1] = 8;
        assert!(long.iter().enumerate().all(|(i, n)| *n == if i == 1 { 8 } else { 7 }));
        let middle = &raw const long[2 << 20] as usize;
        // A kernel without such pages refuses.
        if std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            assert!(flags(middle).contains(" hg"), "{}", flags(middle));
        }
        prefer_large(&Vec::<u64>::new());
        prefer_large(&vec![0u8; 100]);
    }
}
