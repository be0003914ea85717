"""How pages of a report look: on a desk, on a phone, on paper."""

PLAIN = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
  color: #1b2733; background: #fff; max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .3rem 0; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-bottom: .25rem;
  border-bottom: 2px solid #d6dde2; }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .4rem; }
p { margin: .6rem 0; max-width: 46rem; overflow-wrap: anywhere; }
header p, .above { color: #57636e; }
a { color: #1d5c99; text-decoration-thickness: 1px; text-underline-offset: .16em; }
a:hover { text-decoration-thickness: 2px; }
a:focus-visible, [tabindex]:focus-visible, summary:focus-visible {
  outline: 3px solid #1d5c99; outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; background: #fff; padding: .3rem .6rem; z-index: 9; }
.wide { overflow-x: auto; margin: .9rem 0; border: 1px solid #e3e7ea; border-radius: 4px; }
table { border-collapse: collapse; font-size: .9rem; min-width: 100%; }
caption { text-align: left; color: #414d58; font-weight: 600; border-bottom: 1px solid #e3e7ea; }
caption span { display: inline-block; position: sticky; left: 0; padding: .5rem .7rem;
  max-width: min(46rem, 100vw - 3rem); }
th, td { text-align: left; vertical-align: top; padding: .32rem .7rem;
  border-bottom: 1px solid #eef1f3; max-width: 36rem; overflow-wrap: break-word; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: #414d58; font-weight: 600; background: #f6f8f9; }
tbody th { font-weight: 600; background: #fff; position: sticky; left: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number a { text-decoration-color: #9db4c8; white-space: nowrap; }
tr:target > * { background: #fff2bf; }
tr { scroll-margin-top: 4rem; }
figure { margin: 1.4rem 0 2rem; }
figure img { display: block; width: 100%; max-width: 54rem; height: auto;
  border: 1px solid #eef1f3; }
figcaption { font-size: .88rem; color: #414d58; max-width: 46rem; margin-top: .5rem; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: #1d5c99; padding: .2rem 0; }
pre { font: .82rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; background: #f6f8f9;
  padding: .8rem; overflow-x: auto; border-radius: 4px; }
.notices { list-style: none; padding: 0; margin: .8rem 0; max-width: 54rem; }
.notices li { border-left: 4px solid; padding: .35rem .8rem; margin: .35rem 0;
  overflow-wrap: anywhere; font-size: .94rem; }
.notices .problem { border-color: #b2182b; background: #fcefee; }
.notices .caution { border-color: #b35806; background: #fff7eb; }
.notices .note { border-color: #8a949e; background: #f6f8f9; }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; display: block; }
  nav, .skip { display: none; }
  a { color: inherit; text-decoration: none; }
  .wide { overflow: visible; border: 0; }
  table { font-size: 8pt; }
  th, td { padding: .15rem .35rem; white-space: normal; }
  tbody th { position: static; }
  figure, tr, .notices li { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  figure img { max-height: 20cm; width: auto; max-width: 100%; }
}
"""

INDEX = (
    PLAIN
    + """
nav { font-size: .92rem; border: 1px solid #e3e7ea; border-radius: 4px; padding: .4rem .9rem;
  margin: 1rem 0; }
nav p { font-weight: 600; margin: .2rem 0; }
nav ol { margin: .2rem 0; padding-left: 1.3rem; columns: 2; }
nav li { margin: .12rem 0; break-inside: avoid; }
#summary p { font-size: 1.06rem; }
#summary p:last-of-type { font-size: .88rem; color: #57636e; }
@media screen and (min-width: 74rem) {
  body { display: grid; grid-template-columns: 14rem minmax(0, 56rem); column-gap: 2.5rem;
    max-width: none; justify-content: center; align-items: start; }
  header, .skip { grid-column: 1 / -1; }
  header { max-width: 72.5rem; }
  nav { position: sticky; top: 1rem; max-height: calc(100vh - 2rem); overflow-y: auto; }
  nav ol { columns: 1; }
  main > section:first-child h2 { margin-top: 1rem; }
}
"""
)
