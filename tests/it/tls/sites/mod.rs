//! Configurations of whole sites, with TLS, HTTP/2 and the PROXY protocol, through HAProxy and through the program under
//! test: answers, what fetches tell, what origins get and what the log says.

mod clients;
mod harness;
mod hops;
mod names;
mod servers;
mod table;
