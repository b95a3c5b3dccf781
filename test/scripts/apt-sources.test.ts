import test from 'ava'
import { debianArchives } from '../../scripts/apt-sources.ts'

const list = (text: string) => debianArchives([{ name: 'a.list', text }])
const deb822 = (text: string) => debianArchives([{ name: 'a.sources', text }])

test('one-line entries give the archive and its keyring', (t) => {
  const text = `
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian/ bookworm main contrib # ours
deb-src http://source.example/debian bookworm main`
  t.deepEqual(list(text), [
    { uri: 'http://mirror.example/debian', signedBy: '/usr/share/keyrings/debian.gpg' },
  ])
})

test('deb822 stanzas give the archive and its keyring, a key written out in full too', (t) => {
  const text = `Types: deb deb-src
URIs: http://one.example/debian https://two.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main`
  const signedBy = '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc'
  t.deepEqual(deb822(text), [
    { uri: 'http://one.example/debian', signedBy },
    { uri: 'https://two.example/debian', signedBy },
  ])
})

test('other distributions, vendors, security archives and other schemes are left out', (t) => {
  const text = `deb http://archive.example/ubuntu jammy main universe
deb http://packages.example/apt cloud-sdk-bookworm main
deb http://security.example/debian-security bookworm-security main
deb http://mirror.example/debian bookworm contrib
deb cdrom:[Debian]/ bookworm main`
  t.deepEqual(list(text), [])
})
