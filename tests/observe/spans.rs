//! What a collector was sent: OTLP's protobuf read field by field, so that nothing that is exported goes unseen.
//!
//! The numbers of the fields are those of `opentelemetry/proto/trace/v1/trace.proto` and its neighbours.

/// A span, with everything of it that can hold a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    pub name: String,
    /// In hex, as a `traceparent` has them.
    pub trace: String,
    pub id: String,
    pub parent: String,
    /// Of the span, of its events and of its links; numbers as text.
    pub attributes: Vec<(String, String)>,
    /// Names of events, words of the status, states of the trace.
    pub words: Vec<String>,
}

impl Span {
    /// The value of an attribute.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// The spans of one request to a collector, and the attributes of who sent them.
pub fn read(body: &[u8]) -> (Vec<Span>, Vec<(String, String)>) {
    let (mut spans, mut sender) = (Vec::new(), Vec::new());
    for of_resource in parts(body, 1) {
        for resource in parts(of_resource, 1) {
            sender.extend(parts(resource, 1).into_iter().map(attribute));
        }
        for of_scope in parts(of_resource, 2) {
            for scope in parts(of_scope, 1) {
                sender.extend(parts(scope, 1).into_iter().map(|name| ("scope".to_owned(), text(name))));
                sender.extend(parts(scope, 3).into_iter().map(attribute));
            }
            spans.extend(parts(of_scope, 2).into_iter().map(span));
        }
    }
    (spans, sender)
}

fn span(bytes: &[u8]) -> Span {
    let mut span = Span::default();
    for (number, field) in fields(bytes) {
        match (number, field) {
            (1, Field::Bytes(id)) => span.trace = hex(id),
            (2, Field::Bytes(id)) => span.id = hex(id),
            (3, Field::Bytes(state)) => span.words.push(text(state)),
            (4, Field::Bytes(id)) => span.parent = hex(id),
            (5, Field::Bytes(name)) => span.name = text(name),
            (9, Field::Bytes(pair)) => span.attributes.push(attribute(pair)),
            (11, Field::Bytes(event)) => {
                span.words.extend(parts(event, 2).into_iter().map(text));
                span.attributes.extend(parts(event, 3).into_iter().map(attribute));
            }
            (13, Field::Bytes(link)) => {
                span.words.extend(parts(link, 3).into_iter().map(text));
                span.attributes.extend(parts(link, 4).into_iter().map(attribute));
            }
            (15, Field::Bytes(status)) => span.words.extend(parts(status, 2).into_iter().map(text)),
            // Kind, times, how much was dropped, flags: numbers of the library's own.
            (6..=8 | 10 | 12 | 14 | 16, Field::Number(_)) => {}
            (other, field) => panic!("a span has the field {other}: {field:?}"),
        }
    }
    span
}

fn attribute(pair: &[u8]) -> (String, String) {
    let key = parts(pair, 1).first().map(|key| text(key)).unwrap_or_default();
    (key, parts(pair, 2).first().map(|any| value(any)).unwrap_or_default())
}

/// Any value, as people would read it.
fn value(any: &[u8]) -> String {
    let all = fields(any).into_iter().map(|(number, field)| match (number, field) {
        (1 | 7, Field::Bytes(bytes)) => text(bytes),
        (2 | 3, Field::Number(number)) => number.cast_signed().to_string(),
        (4, Field::Number(bits)) => f64::from_bits(bits).to_string(),
        (5, Field::Bytes(list)) => parts(list, 1).into_iter().map(value).collect::<Vec<_>>().join(" "),
        (6, Field::Bytes(list)) => format!("{:?}", parts(list, 1).into_iter().map(attribute).collect::<Vec<_>>()),
        (other, field) => panic!("a value of the kind {other}: {field:?}"),
    });
    all.collect()
}

#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The parts of a message with this number.
fn parts(bytes: &[u8], wanted: u64) -> Vec<&[u8]> {
    let of = |(number, field)| match field {
        Field::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    };
    fields(bytes).into_iter().filter_map(of).collect()
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().expect("8 bytes"))),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("a length");
                Field::Bytes(take(&mut bytes, length))
            }
            5 => Field::Number(u64::from(u32::from_le_bytes(take(&mut bytes, 4).try_into().expect("4 bytes")))),
            other => panic!("protobuf has no wire type {other}"),
        };
        all.push((key >> 3, field));
    }
    all
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
