//! Classes of characters, looked up in a table.

/// token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~").
pub(crate) const TOKEN: u16 = 1;
/// The scheme of a URI.
pub(crate) const SCHEME: u16 = 1 << 1;
/// A host name. Underscores are no part of the grammar, but deployed names have them.
pub(crate) const HOST: u16 = 1 << 2;
/// The user part of a URI, but for escapes. `#` is no part of the grammar, but phones dial it unescaped.
pub(crate) const USER: u16 = 1 << 3;
/// The password of a URI, but for escapes.
pub(crate) const PASSWORD: u16 = 1 << 4;
/// A parameter of a URI, but for escapes; quotes and `@` are refused.
pub(crate) const URI_PARAM: u16 = 1 << 5;
/// A header of a URI, but for escapes.
pub(crate) const URI_HEADER: u16 = 1 << 6;
/// The unquoted value of a header's parameter. Lenient: deployed peers put `=`, `@`, `{` and the like there.
pub(crate) const VALUE: u16 = 1 << 7;
/// An unquoted display name: tokens with space between, and, as deployed phones send them, letters beyond ASCII.
pub(crate) const WORDS: u16 = 1 << 8;
/// Neither space nor control character.
pub(crate) const VISIBLE: u16 = 1 << 9;
/// A decimal digit.
pub(crate) const DIGIT: u16 = 1 << 10;

static CLASSES: [u16; 256] = classes();

const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = classes_of(b as u8);
        b += 1;
    }
    table
}

const fn classes_of(b: u8) -> u16 {
    let alnum = b.is_ascii_alphanumeric();
    let unreserved = alnum || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
    let token = alnum || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
    let visible = b > b' ' && b != 127;
    let mut classes = 0;
    let all = [
        (token, TOKEN),
        (alnum || matches!(b, b'+' | b'-' | b'.'), SCHEME),
        (alnum || matches!(b, b'-' | b'.' | b'_'), HOST),
        (unreserved || matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' | b'#'), USER),
        (unreserved || matches!(b, b'&' | b'=' | b'+' | b'$' | b','), PASSWORD),
        (unreserved || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$' | b'`'), URI_PARAM),
        (unreserved || matches!(b, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$'), URI_HEADER),
        (visible && !matches!(b, b'"' | b',' | b';' | b'<' | b'>'), VALUE),
        (token || matches!(b, b' ' | b'\t') || b >= 0x80, WORDS),
        (visible, VISIBLE),
        (b.is_ascii_digit(), DIGIT),
    ];
    let mut put = all.as_slice();
    while let [(is, class), rest @ ..] = put {
        if *is {
            classes |= *class;
        }
        put = rest;
    }
    classes
}

/// Whether a character is of a class.
#[inline]
pub(crate) fn is(b: u8, class: u16) -> bool {
    CLASSES[usize::from(b)] & class != 0
}

/// How many characters from the beginning are of a class: four at a time, then what is left.
#[inline]
pub(crate) fn run(text: &[u8], class: u16) -> usize {
    let (fours, _) = text.as_chunks::<4>();
    let of = |b: u8| CLASSES[usize::from(b)];
    let whole = fours.iter().position(|&[a, b, c, d]| of(a) & of(b) & of(c) & of(d) & class == 0);
    let mut len = whole.unwrap_or(fours.len()) * 4;
    while text.get(len).is_some_and(|b| is(*b, class)) {
        len += 1;
    }
    len
}

/// Whether all characters are of a class.
#[inline]
pub(crate) fn all(text: &str, class: u16) -> bool {
    run(text.as_bytes(), class) == text.len()
}
