// Every provider with endpoints of its own: a new one is a file, and a line here.
export { facebook } from './facebook.ts'
export { github } from './github.ts'
export { google } from './google.ts'
export { kakao } from './kakao.ts'
export { microsoft } from './microsoft.ts'
export { naver } from './naver.ts'
