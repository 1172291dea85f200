//! A line of a script as the bytes of a message.

/// What a line makes the client do.
pub enum Sending {
    Bytes(Vec<u8>),
    /// A request for encryption: its answer is one byte.
    OneByteAnswer(Vec<u8>),
    /// A CancelRequest on a connection of its own.
    Cancel,
}

/// A word of a line.
#[derive(Debug)]
enum Word {
    Plain(String),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Word>),
}

impl Sending {
    /// The line behind `> `. A Startup without a database takes the script's own.
    pub fn read(line: &str, database: &str) -> Sending {
        let words = words(line);
        let (Some(Word::Plain(kind)), rest) = (words.first(), &words[1.min(words.len())..]) else {
            panic!("no message: {line}");
        };
        let bytes = match (kind.as_str(), rest) {
            ("Startup", [Word::Plain(version), parameters @ ..]) => startup(version, parameters, database),
            ("SSLRequest", []) => return Sending::OneByteAnswer(code(80_877_103)),
            ("GSSENCRequest", []) => return Sending::OneByteAnswer(code(80_877_104)),
            ("Cancel", []) => return Sending::Cancel,
            ("Raw" | "RawStartup", [Word::Bytes(bytes)]) => bytes.clone(),
            ("Query", [sql]) => message(b'Q', &[zero(sql)]),
            ("Parse", [name, sql, Word::List(types)]) => {
                let count = counted(types.len());
                let types = types.iter().flat_map(|oid| number::<u32>(oid).to_be_bytes()).collect();
                message(b'P', &[zero(name), zero(sql), count, types])
            }
            (
                "Bind",
                [
                    portal,
                    statement,
                    Word::List(formats),
                    Word::List(values),
                    Word::List(results),
                ],
            ) => message(
                b'B',
                &[
                    zero(portal),
                    zero(statement),
                    codes(formats),
                    counted(values.len()),
                    values.iter().flat_map(value).collect(),
                    codes(results),
                ],
            ),
            ("Describe", [Word::Plain(kind), name]) => message(b'D', &[kind.clone().into_bytes(), zero(name)]),
            ("Close", [Word::Plain(kind), name]) => message(b'C', &[kind.clone().into_bytes(), zero(name)]),
            ("Execute", [portal, limit]) => message(b'E', &[zero(portal), number::<i32>(limit).to_be_bytes().to_vec()]),
            ("Sync", []) => message(b'S', &[]),
            ("Flush", []) => message(b'H', &[]),
            ("Terminate", []) => message(b'X', &[]),
            ("CopyData", [data]) => message(b'd', &[bytes_of(data)]),
            ("CopyDone", []) => message(b'c', &[]),
            ("CopyFail", [reason]) => message(b'f', &[zero(reason)]),
            _ => panic!("no message: {line}"),
        };
        Sending::Bytes(bytes)
    }
}

/// With the process id and key of BackendKeyData.
pub fn cancel_request(key: &[u8]) -> Vec<u8> {
    let mut bytes = (key.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend_from_slice(&80_877_102u32.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes
}

fn message(kind: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn code(code: u32) -> Vec<u8> {
    [8u32.to_be_bytes(), code.to_be_bytes()].concat()
}

fn startup(version: &str, parameters: &[Word], database: &str) -> Vec<u8> {
    let (major, minor) = version.split_once('.').expect("a version such as 3.0");
    let version = major.parse::<u32>().expect("a number") << 16 | minor.parse::<u32>().expect("a number");
    let mut pairs: Vec<(String, String)> = parameters
        .chunks_exact(2)
        .map(|pair| (text_of(&pair[0]), text_of(&pair[1])))
        .collect();
    for (name, value) in [("user", "postgres"), ("database", database)] {
        if !pairs.iter().any(|(known, _)| known == name) {
            pairs.push((name.into(), value.into()));
        }
    }
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in &pairs {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    [(body.len() as u32 + 4).to_be_bytes().to_vec(), body].concat()
}

fn value(word: &Word) -> Vec<u8> {
    if let Word::Plain(word) = word {
        assert_eq!(word, "NULL", "a value is a text, bytes or NULL");
        return (-1i32).to_be_bytes().to_vec();
    }
    let bytes = bytes_of(word);
    [(bytes.len() as i32).to_be_bytes().to_vec(), bytes].concat()
}

fn codes(words: &[Word]) -> Vec<u8> {
    let mut bytes = counted(words.len());
    for word in words {
        bytes.extend_from_slice(&number::<i16>(word).to_be_bytes());
    }
    bytes
}

fn counted(count: usize) -> Vec<u8> {
    (count as i16).to_be_bytes().to_vec()
}

fn zero(word: &Word) -> Vec<u8> {
    let mut bytes = bytes_of(word);
    bytes.push(0);
    bytes
}

fn bytes_of(word: &Word) -> Vec<u8> {
    match word {
        Word::Plain(text) | Word::Text(text) => text.clone().into_bytes(),
        Word::Bytes(bytes) => bytes.clone(),
        Word::List(_) => panic!("no list is expected"),
    }
}

fn text_of(word: &Word) -> String {
    String::from_utf8(bytes_of(word)).expect("text")
}

fn number<T: std::str::FromStr>(word: &Word) -> T {
    text_of(word).parse().ok().expect("a number")
}

/// Words between spaces, texts as JSON writes them, bytes as `x'00ff'`, lists in brackets.
fn words(line: &str) -> Vec<Word> {
    let mut rest = line.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (word, behind) = word(rest);
        found.push(word);
        rest = behind.trim_start();
    }
    found
}

fn word(text: &str) -> (Word, &str) {
    if text.starts_with('"') {
        let mut texts = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let value = texts.next().expect("a text").expect("a text as JSON writes it");
        return (Word::Text(value), &text[texts.byte_offset()..]);
    }
    if let Some(digits) = text.strip_prefix("x'") {
        let (digits, behind) = digits.split_once('\'').expect("bytes end with a quote");
        let byte = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).expect("hexadecimal digits");
        return (Word::Bytes((0..digits.len()).step_by(2).map(byte).collect()), behind);
    }
    if let Some(mut rest) = text.strip_prefix('[') {
        let mut list = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(behind) = rest.strip_prefix(']') {
                return (Word::List(list), behind);
            }
            let (word, behind) = word(rest);
            list.push(word);
            rest = behind;
        }
    }
    let end = text.find([' ', ']']).unwrap_or(text.len());
    (Word::Plain(text[..end].into()), &text[end..])
}
