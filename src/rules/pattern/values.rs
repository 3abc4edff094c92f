//! Values of a long list by short references: what is written many times lies in one place, which the processor's cache
//! then has.

use super::hash::hash;

/// Refers to a value that does not lie here.
pub const ELSEWHERE: u32 = u32::MAX - 1;
/// Values that are compared with one that comes; of two with the same place here the later stays.
const REMEMBERED: usize = 2048;

/// Values one behind the other, each after a byte that says how long it is.
#[derive(Debug, Default)]
pub struct Values(Vec<u8>);

impl Values {
    /// The value of a reference; `None`: it lies elsewhere.
    pub fn get(&self, reference: u32) -> Option<&[u8]> {
        let (len, rest) = self.0.get(reference as usize..)?.split_first()?;
        rest.get(..usize::from(*len))
    }

    fn push(&mut self, value: &[u8]) -> u32 {
        let (Ok(len), at) = (u8::try_from(value.len()), self.0.len()) else { return ELSEWHERE };
        if at + value.len() >= ELSEWHERE as usize {
            return ELSEWHERE;
        }
        self.0.push(len);
        self.0.extend_from_slice(value);
        at as u32
    }
}

/// Puts values together.
pub struct Collector {
    values: Values,
    remembered: Box<[u32; REMEMBERED]>,
}

impl Default for Collector {
    fn default() -> Self {
        Collector { values: Values::default(), remembered: Box::new([ELSEWHERE; REMEMBERED]) }
    }
}

impl Collector {
    /// The reference of a value.
    pub fn put(&mut self, value: &[u8]) -> u32 {
        let known = &mut self.remembered[hash(value) as usize % REMEMBERED];
        if self.values.get(*known) != Some(value) {
            *known = self.values.push(value);
        }
        *known
    }

    pub fn done(mut self) -> Values {
        self.values.0.shrink_to_fit();
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_what_it_was_and_what_comes_again_takes_no_room() {
        let texts: Vec<String> = (0..10_000).map(|i| "v".repeat(i % 300) + &(i % 5000).to_string()).collect();
        let mut collector = Collector::default();
        let of = |texts: &[String], collector: &mut Collector| -> Vec<u32> {
            texts.iter().map(|text| collector.put(text.as_bytes())).collect()
        };
        let references = of(&texts, &mut collector);
        let few: Vec<String> = (0..30).map(|i| format!("few-{}", i % 3)).collect();
        of(&few[..3], &mut collector);
        let before = collector.values.0.len();
        let again = of(&few, &mut collector);
        assert_eq!((collector.values.0.len(), again[0]), (before, again[27]));
        let values = collector.done();
        for (text, reference) in texts.iter().zip(references) {
            let expected = (text.len() < 256).then_some(text.as_bytes());
            assert_eq!(values.get(reference), expected);
        }
        assert_eq!(values.get(u32::MAX), None);
    }
}
