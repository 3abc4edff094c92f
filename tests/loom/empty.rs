//! Nothing: the tests compile the files under test themselves.
