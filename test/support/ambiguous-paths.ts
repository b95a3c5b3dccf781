/** Targets that must not reach a house, since it could read them as another path; each with its name. */
export const ambiguousPaths: Readonly<Record<string, string>> = {
  'a .. segment': '/api/house/../b',
  'a .. segment at the end': '/api/house/..',
  'a . segment': '/api/./house',
  'a . segment at the end': '/api/house/.',
  'an encoded .. segment': '/api/house/%2e%2e/b',
  'an encoded .. segment in upper case': '/api/house/%2E%2E/b',
  'a half-encoded .. segment': '/api/house/.%2e/b',
  'the other half-encoded .. segment': '/api/house/%2e./b',
  'a .. segment with an empty path parameter': '/api/house/..;/b',
  'a .. segment with a path parameter': '/api/house/..;x=1/b',
  'a .. segment with an encoded semicolon': '/api/house/%2e%2e%3b/b',
  'a segment that is nothing but a path parameter': '/api/;x=1/house',
  'a segment that is nothing but an encoded path parameter': '/api/%3Bx/house',
  'an empty first segment': '//api/house',
  'an empty segment': '/api//house',
  'an empty last segment': '/api/house//',
  'nothing but slashes': '//',
  'a backslash': '/api/house\\..\\b',
  'an encoded backslash': '/api/house/..%5c..%5cb',
  'an encoded slash': '/api/house/..%2fb',
  'an encoded slash in upper case': '/api/house/a%2Fb',
  'a twice-encoded slash': '/api/house/..%252fb',
  'a twice-encoded slash whose escape is itself encoded': '/api/house/%25%32%66b',
  'a twice-encoded dot': '/api/house/%252e%252e/b',
  'a twice-encoded dot whose escape is itself encoded': '/api/house/%25%32%65%25%32%65/b',
  'a percent sign encoded three times': '/api/house/%25252e%25252e/b',
  'an encoded NUL': '/api/house/%00',
  'a twice-encoded NUL': '/api/house/%2500',
  'an encoded line feed': '/api/house/%0a',
  'an encoded carriage return': '/api/house/%0dX: y',
  'an encoded DEL': '/api/house/%7f',
  'an overlong dot': '/api/house/%c0%ae%c0%ae/b',
  'an overlong slash': '/api/house/..%c0%afb',
  'an overlong slash of three bytes': '/api/house/..%e0%80%afb',
  'an overlong slash of four bytes': '/api/house/..%f0%80%80%afb',
  'an escape that is none': '/api/house/%zz',
  'a lone percent sign': '/api/house/100%',
  'an escape that is cut off': '/api/house/%4',
  'the %u escape of old IIS': '/api/house/%u002e%u002e/b',
  'a raw non-ASCII byte': '/api/house/\xe9',
  'a fragment': '/api/house#/../b',
  'a fragment in the query': '/api/house?a#b',
  'a raw non-ASCII byte in the query': '/api/house?name=\xed\x95\x9c',
  'a quotation mark': '/api/house/"',
  'an angle bracket': '/api/house/<script>',
  'a brace': '/api/house/{id}',
  'a pipe': '/api/house/a|b',
  'an absolute URL with user information': 'http://user:secret@elsewhere/api/house',
  'an absolute URL with a .. segment': 'http://elsewhere/api/../b',
  'an absolute URL without a host': 'http:///api/house',
  'an absolute URL with a backslash in its host': 'http://elsewhere\\api/house',
  'an absolute URL of another scheme': 'ftp://elsewhere/api/house',
  'a scheme without slashes': 'http:api/house',
  'an authority': 'elsewhere:443',
  'a path that does not begin with a slash': 'api/house',
}

/** Targets that are one thing to everybody, and what a house gets. */
export const plainPaths: Readonly<Record<string, readonly [sent: string, forwarded: string]>> = {
  'an encoded letter is decoded': ['/api/%68ouse/%75sers', '/api/house/users'],
  'an encoded hyphen, dot, underscore and tilde are decoded': [
    '/api/house/a%2Db%2Ec%5Fd%7Ee',
    '/api/house/a-b.c_d~e',
  ],
  'escapes that must stay are written in upper case': ['/api/house/%ed%95%9c', '/api/house/%ED%95%9C'],
  'an encoded space stays': ['/api/house/a%20b', '/api/house/a%20b'],
  'an encoded percent sign stays': ['/api/house/100%25', '/api/house/100%25'],
  'sub-delimiters stay': ["/api/house/!$&'()*+,;=:@", "/api/house/!$&'()*+,;=:@"],
  'path parameters stay': ['/api/house/a;v=1/b', '/api/house/a;v=1/b'],
  'more dots than two are a name': ['/api/house/.../a..b/.hidden', '/api/house/.../a..b/.hidden'],
  'a trailing slash stays': ['/api/house/', '/api/house/'],
  'the query is left alone': [
    '/api/house?next=/../a//b%2e%2e%2f%00;{"a":[1]}|x',
    '/api/house?next=/../a//b%2e%2e%2f%00;{"a":[1]}|x',
  ],
  'an absolute URL loses its authority': ['http://elsewhere:81/api/house?x=1', '/api/house?x=1'],
  'an absolute URL in upper case loses its authority': ['HTTP://ELSEWHERE/api/house', '/api/house'],
}

/** Decodes until nothing changes, as the most eager chain of servers might. */
export function decodeFully(path: string): string {
  let decoded = path
  for (;;) {
    const next = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (next === decoded) return decoded
    decoded = next
  }
}

const alphabet = [
  ...[
    '/',
    '/',
    '/',
    '.',
    '..',
    '...',
    ';',
    ':',
    '@',
    '~',
    '-',
    '_',
    '?',
    '=',
    '&',
    '+',
    ',',
    '*',
    "'",
    '(',
    '!',
  ],
  ...[
    'a',
    'b',
    'users',
    'A',
    '0',
    '%41',
    '%61',
    '%7e',
    '%2e',
    '%2E',
    '%2f',
    '%5c',
    '%25',
    '%3b',
    '%3B',
    '%3f',
  ],
  ...['%20', '%00', '%0a', '%c3%a9', '%c0%ae', '%', '%4', '\\', '#', ' ', '\t', '"', '|', '^', '`'],
  ...['%25%32', '%25%32%65', '%252', '%2', '5', 'e', 'f', '%65', '%66', '%33%62', '%2525'],
]

/** A target of pieces that servers stumble over. */
export function generateTarget(random: () => number): string {
  const length = 1 + Math.floor(random() * 8)
  let target = '/'
  for (let i = 0; i < length; i += 1) target += alphabet[Math.floor(random() * alphabet.length)]
  return target
}
