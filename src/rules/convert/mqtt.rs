//! MQTT 3.1, 3.1.1 and 5.0: the first packet of each side (CONNECT and CONNACK).

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::Converter;
use super::text::bytes;

const CONNECT: i64 = 1;
const CONNACK: i64 = 2;

/// Fields by name; numbers are properties of MQTT 5.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Field {
    Flags,
    ProtocolName,
    ProtocolVersion,
    ClientIdentifier,
    WillTopic,
    WillPayload,
    Username,
    Password,
    Keepalive,
    ReasonCode,
}

use Field::*;

const CONNECT_FIELDS: [(&str, Field); 9] = [
    ("flags", Flags),
    ("protocol_name", ProtocolName),
    ("protocol_version", ProtocolVersion),
    ("client_identifier", ClientIdentifier),
    ("will_topic", WillTopic),
    ("will_payload", WillPayload),
    ("username", Username),
    ("password", Password),
    ("keepalive", Keepalive),
];
const CONNACK_FIELDS: [(&str, Field); 3] =
    [("flags", Flags), ("protocol_version", ProtocolVersion), ("reason_code", ReasonCode)];

/// Properties that a configuration may ask for; user properties (38) have no value of their own.
const CONNECT_PROPERTIES: [u8; 14] = [17, 33, 39, 34, 25, 23, 21, 22, 24, 1, 2, 3, 8, 9];
const CONNACK_PROPERTIES: [u8; 16] = [17, 33, 36, 37, 39, 18, 34, 31, 40, 41, 42, 19, 26, 28, 21, 22];
const WILL_PROPERTIES: [u8; 7] = [24, 1, 2, 3, 8, 9, USER_PROPERTY];
const USER_PROPERTY: u8 = 38;

/// Bytes of a property's number; `None` for texts.
fn size_of_number(id: u8) -> Option<usize> {
    match id {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Some(1),
        19 | 33 | 34 | 35 => Some(2),
        2 | 17 | 24 | 39 => Some(4),
        _ => None,
    }
}

/// A value of a field or property.
#[derive(Clone, Copy)]
enum Value<'p> {
    Number(u32),
    Text(&'p [u8]),
}

/// What is left of a packet.
struct Reader<'p>(&'p [u8]);

impl<'p> Reader<'p> {
    fn take(&mut self, len: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, len: usize) -> Option<u32> {
        Some(self.take(len)?.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    /// Bytes behind their length.
    fn text(&mut self) -> Option<&'p [u8]> {
        let len = self.number(2)?;
        self.take(len as usize)
    }

    /// A number of up to four bytes, seven bits in each.
    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.number(1)?;
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Why what a packet says cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// More of it is to come.
    Short,
    Wrong,
}

/// Everything that a packet says, told to those who want to know.
struct Packet<'s, 'p> {
    field: &'s mut dyn FnMut(Field, Value<'p>),
    property: &'s mut dyn FnMut(u8, Value<'p>),
}

impl<'p> Packet<'_, 'p> {
    /// Reads a whole packet: its type and version.
    fn read(&mut self, data: &'p [u8]) -> Result<(i64, u32), Fault> {
        let mut reader = Reader(data);
        let first = reader.number(1).ok_or(Fault::Short)?;
        let len = reader.varint().ok_or(Fault::Short)?;
        // The flags of both types are reserved.
        let kind = match first {
            0x10 => CONNECT,
            0x20 => CONNACK,
            _ => return Err(Fault::Wrong),
        };
        let mut body = Reader(reader.take(len as usize).ok_or(Fault::Short)?);
        let version = match kind {
            CONNECT => self.connect(&mut body),
            _ => self.connack(&mut body),
        };
        version.filter(|_| body.0.is_empty()).map(|version| (kind, version)).ok_or(Fault::Wrong)
    }

    fn connect(&mut self, body: &mut Reader<'p>) -> Option<u32> {
        let name = body.text()?;
        let version = body.number(1)?;
        matches!((name, version), (b"MQIsdp", 3) | (b"MQTT", 4 | 5)).then_some(())?;
        let flags = body.number(1)?;
        let has = |bit: u32| flags & bit != 0;
        let (has_will, has_password, has_user) = (has(4), has(0x40), has(0x80));
        let will_is_right = if has_will { flags & 0x18 != 0x18 } else { flags & 0x38 == 0 };
        let credentials_are_right = version == 5 || has_user || !has_password;
        (!has(1) && will_is_right && credentials_are_right).then_some(())?;
        (self.field)(ProtocolName, Value::Text(name));
        (self.field)(ProtocolVersion, Value::Number(version));
        (self.field)(Flags, Value::Number(flags));
        (self.field)(Keepalive, Value::Number(body.number(2)?));
        if version == 5 {
            self.properties(body, |id| {
                !WILL_PROPERTIES[..6].contains(&id) && CONNECT_PROPERTIES.contains(&id) || id == USER_PROPERTY
            })?;
        }
        (self.field)(ClientIdentifier, Value::Text(body.text()?));
        if has_will {
            if version == 5 {
                self.properties(body, |id| WILL_PROPERTIES.contains(&id))?;
            }
            (self.field)(WillTopic, Value::Text(body.text()?));
            (self.field)(WillPayload, Value::Text(body.text()?));
        }
        if has_user {
            (self.field)(Username, Value::Text(body.text()?));
        }
        if has_password {
            (self.field)(Password, Value::Text(body.text()?));
        }
        Some(version)
    }

    fn connack(&mut self, body: &mut Reader<'p>) -> Option<u32> {
        let version = if body.0.len() == 2 { 4 } else { 5 };
        let flags = body.number(1)?;
        (flags & !1 == 0).then_some(())?;
        (self.field)(ProtocolVersion, Value::Number(version));
        (self.field)(Flags, Value::Number(flags));
        (self.field)(ReasonCode, Value::Number(body.number(1)?));
        if version == 5 {
            self.properties(body, |id| CONNACK_PROPERTIES.contains(&id) || id == USER_PROPERTY)?;
        }
        Some(version)
    }

    fn properties(&mut self, body: &mut Reader<'p>, is_known: impl Fn(u8) -> bool) -> Option<()> {
        let len = body.varint()?;
        let mut list = Reader(body.take(len as usize)?);
        while !list.0.is_empty() {
            let id = u8::try_from(list.varint()?).ok().filter(|id| is_known(*id))?;
            let value = match size_of_number(id) {
                Some(len) => Value::Number(list.number(len)?),
                None => {
                    if id == USER_PROPERTY {
                        list.text()?;
                    }
                    Value::Text(list.text()?)
                }
            };
            (self.property)(id, value);
        }
        Some(())
    }
}

fn is_valid<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let data = bytes(sample);
    let mut packet = Packet { field: &mut |_, _| {}, property: &mut |_, _| {} };
    match packet.read(&data) {
        Ok(_) => Some(Sample::Bool(true)),
        Err(Fault::Wrong) => Some(Sample::Bool(false)),
        Err(Fault::Short) => None,
    }
}

/// Arguments: the type of packet, and a field's number or 256 and a property's.
fn field_value<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let (kind, wanted) = (args.int(0)?, args.int(1)?);
    let data = bytes(sample);
    let (mut of_field, mut of_property) = (None, None);
    let mut packet = Packet {
        field: &mut |field, value| {
            if field as i64 == wanted {
                of_field = Some(value);
            }
        },
        property: &mut |id, value| {
            if i64::from(id) + 256 == wanted {
                of_property = Some(value);
            }
        },
    };
    let (found, version) = packet.read(&data).ok()?;
    (found == kind).then_some(())?;
    // Numbers that a packet of MQTT 5.0 does not tell are 0.
    let unsaid = || {
        let is_number = u8::try_from(wanted - 256).is_ok_and(|id| size_of_number(id).is_some());
        (version == 5 && is_number).then_some(Value::Number(0))
    };
    let text = match of_field.or(of_property).or_else(unsaid)? {
        Value::Number(n) => n.to_string().into_bytes(),
        Value::Text(text) => text.to_vec(),
    };
    Some(Sample::Str(Cow::Owned(text)))
}

fn check_field(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let word = |i: usize| String::from_utf8_lossy(args.as_slice().str(i)).to_ascii_lowercase();
    let (kind, wanted) = (word(0), word(1));
    let (kind, fields, properties) = match kind.as_str() {
        "connect" | "1" => (CONNECT, &CONNECT_FIELDS[..], &CONNECT_PROPERTIES[..]),
        "connack" | "2" => (CONNACK, &CONNACK_FIELDS[..], &CONNACK_PROPERTIES[..]),
        other => return Err(format!("unsupported packet type '{other}'")),
    };
    let by_name = fields.iter().find(|(name, _)| *name == wanted).map(|(_, field)| *field as i64);
    let by_number =
        || wanted.parse::<u8>().ok().filter(|id| properties.contains(id)).map(|id| 256 + i64::from(id));
    let wanted =
        by_name.or_else(by_number).ok_or_else(|| format!("unsupported field or property '{wanted}'"))?;
    *args = vec![Arg::Int(kind), Arg::Int(wanted)];
    Ok(())
}

pub static CONVERTERS: &[Converter] = &[
    Converter::new(
        Entry::full(
            "mqtt_is_valid",
            "",
            "Whether it begins with a whole CONNECT or CONNACK of MQTT.",
            "req.payload(0,0),mqtt_is_valid",
            "2.4",
        ),
        T::Bin,
        T::Bool,
        is_valid,
    )
    .decides(),
    Converter::new(
        Entry::full(
            "mqtt_field_value",
            "connect|connack,<field>|<property>",
            "A field (by name) or property (by number) of MQTT's first packet.",
            "req.payload(0,0),mqtt_field_value(connect,username)",
            "2.4",
        ),
        T::Bin,
        T::Str,
        field_value,
    )
    .args(ArgSpec::new(2, &[ArgKind::Str, ArgKind::Str]))
    .check(check_field),
];
