//! The same input through HAProxy and Isobar, compared.

mod language;
