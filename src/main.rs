//! The `isobar` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    isobar::app::main()
}
