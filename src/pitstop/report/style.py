"""The style sheet: tokens, pictures, page. Colours survive colour blindness, and dash and shape back them up."""

from __future__ import annotations

_LIGHT = """
--paper:#fdfcfa;--raised:#fff;--ink:#1b2226;--quiet:#586269;--rule:#e5e2da;--soft:#f3f1ea;
--pitstop:#0a6c66;--never:#b24a12;--monthly:#4a5ab5;--oracle:#62676d;--band:#45606e24;--data:#45606e;--alarm:#a3201d;--halo:#fdfcfa
"""

_DARK = """
--paper:#12171a;--raised:#191f23;--ink:#e7e9e6;--quiet:#a0aab0;--rule:#2d363b;--soft:#1e262a;
--pitstop:#52c7bb;--never:#f09a60;--monthly:#a3b0f7;--oracle:#a9afb5;--band:#9db6c433;--data:#9db6c4;--alarm:#ff8f85;--halo:#12171a
"""

_FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans","DejaVu Sans",sans-serif'

TOKENS = f""":root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
@media print{{:root{{color-scheme:light;{_LIGHT}}}}}
"""

PICTURE_RULES = """
.picture text{fill:var(--ink);font-variant-numeric:tabular-nums}
.picture text.quiet{fill:var(--quiet)}
.picture text.name{fill:var(--c);font-weight:600}
.picture .grid{stroke:var(--rule)}
.picture .zero{stroke:var(--quiet)}
.picture .band{fill:var(--band);stroke:var(--data);stroke-opacity:.4;stroke-width:.75}
.picture .whisker{stroke:var(--data);stroke-opacity:.45;stroke-width:3;fill:none}
.picture .withheld{fill:var(--soft);stroke:var(--quiet);stroke-opacity:.6;stroke-dasharray:2 3}
.picture .release{stroke:var(--ink);stroke-opacity:.55;stroke-dasharray:1.5 3;fill:none}
.picture .release-head{fill:var(--ink)}
.picture text.release-number{fill:var(--paper);font-weight:700}
.p-pitstop,.p-champion,.p-realised{--c:var(--pitstop)}.p-never{--c:var(--never)}.p-monthly{--c:var(--monthly)}
.p-oracle{--c:var(--oracle)}.p-estimated{--c:var(--data)}.p-data{--c:var(--data)}
.line{fill:none;stroke:var(--c);stroke-width:1.75;stroke-linejoin:round}
.p-pitstop .line,.p-champion .line,.p-realised .line{stroke-width:2.75}
.p-never .line{stroke-dasharray:7 4}.p-monthly .line{stroke-dasharray:2 3}
.p-oracle .line{stroke-dasharray:9 3 2 3}
.p-estimated .line{stroke-dasharray:5 3}.dense .line{stroke-width:1.25}
.solid{fill:var(--c)}
.open{fill:var(--halo);stroke:var(--c);stroke-width:1.5}
.loss{fill:var(--halo);stroke:var(--c)}
.foreseen{fill:var(--band);stroke:var(--c);stroke-dasharray:3 2}
.entire{fill:var(--data)}.cost{fill:var(--never)}
.reach{fill:none;stroke:var(--ink);stroke-opacity:.7;stroke-width:1.25}
.thin .line{stroke-width:1.5}
.flag-foot{fill:none;stroke:var(--quiet)}
.flag{fill:var(--quiet)}.flag.error,.flag.break{fill:var(--alarm)}.flag.quality{fill:var(--never)}
.picture text.flag-letter{fill:var(--paper);font-weight:700}
.before{fill:none;stroke:var(--quiet)}
.after{fill:var(--data)}
"""

"""How the parts of pictures look, wherever they stand; the colours are tokens."""

PICTURE_CSS = f"{TOKENS}svg{{background:var(--paper);font-family:{_FONT}}}{PICTURE_RULES}"
"""The style of a picture that stands alone."""

_PAGE = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.6 FONT;font-variant-numeric:tabular-nums;
overflow-wrap:anywhere}
main,header,footer{max-width:62rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:3.5rem}
.eyebrow{margin:0 0 1rem;color:var(--quiet);font-size:.875rem}
.eyebrow b{color:var(--pitstop);font-weight:650}
h1{margin:0 0 1rem;max-width:46rem;font-size:clamp(1.55rem,1.15rem + 1.9vw,2.35rem);line-height:1.22;
font-weight:650;
letter-spacing:-.015em;text-wrap:balance}
.lede{max-width:44rem;margin:0 0 .75rem;font-size:1.0625rem;color:var(--quiet)}
h2{margin:0 0 .5rem;font-size:1.375rem;line-height:1.3;font-weight:650;letter-spacing:-.01em}
h3{margin:0 0 .5rem;font-size:1.0625rem;line-height:1.4;font-weight:650}
h4{margin:1.25rem 0 .5rem;font-size:.875rem;font-weight:600;color:var(--quiet)}
p{margin:0 0 .75rem;max-width:44rem;text-wrap:pretty}
section{margin:4.5rem 0 0;scroll-margin-top:1rem}
section>p{color:var(--quiet)}
a{color:var(--pitstop);text-underline-offset:.2em}
a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--pitstop);
outline-offset:3px;border-radius:2px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--raised);
padding:.5rem 1rem}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:2rem 0 0;padding:.75rem 0;
border-block:1px solid var(--rule);font-size:.9375rem}
nav a{display:inline-block;padding:.2rem 0;text-decoration:none}nav a:hover{text-decoration:underline}
.cards{display:flex;flex-wrap:wrap;gap:1px;margin:2.25rem 0 0;padding:0;list-style:none;background:var(--rule);
border:1px solid var(--rule);border-radius:.5rem;overflow:hidden}
.cards li{flex:1 1 11rem;background:var(--raised);padding:1.1rem 1.25rem}
.cards .who{display:flex;align-items:center;gap:.5rem;font-size:.875rem;font-weight:600;color:var(--c)}
.cards .sum{display:block;font-size:1.75rem;line-height:1.3;font-weight:650;letter-spacing:-.02em}
.cards .sum small{font-size:.875rem;font-weight:400;letter-spacing:0;color:var(--quiet)}
.cards .rest{display:block;font-size:.875rem;color:var(--quiet);line-height:1.5}
figure{margin:1.5rem 0 0}
figcaption{font-weight:600;margin:0 0 .5rem}
.picture{display:block;width:100%;height:auto;font-family:inherit}
.picture.wide{max-width:62rem}.picture.narrow{display:none;max-width:30rem}.picture.card{max-width:30rem}
.legend{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;margin:0 0 .5rem;padding:0;list-style:none;
font-size:.875rem}
.legend li{display:flex;align-items:center;gap:.4rem}
.legend.backup{display:none}
.sample{width:28px;height:14px;flex:none}
.swatch{width:14px;height:10px;flex:none;border:1px solid var(--quiet)}
.swatch.full{background:var(--data);border-color:var(--data)}
.swatch.span{background:var(--soft);border-style:dashed}.swatch.range{background:var(--band);border-color:var(--data)}
@media screen and (max-width:46rem){.picture.wide{display:none}.picture.narrow{display:block}
.legend.backup{display:flex}
header{padding-top:2rem}section{margin-top:3.25rem}}
details{margin:.75rem 0 0}
summary{cursor:pointer;color:var(--quiet);font-size:.875rem;padding:.25rem 0;width:max-content;max-width:100%}
summary:hover{color:var(--ink)}
.scroll{overflow-x:auto;margin:.75rem 0 0}.scroll.long{max-height:34rem;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:.875rem;line-height:1.45}
.caption{margin:.75rem 0 0;color:var(--quiet);font-size:.875rem}details .caption{display:none}
th,td{overflow-wrap:break-word;min-width:4.5rem}.words{min-width:14rem}.whole{white-space:nowrap}
th,td{padding:.42rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
th{font-weight:600}thead th{vertical-align:bottom;color:var(--quiet);border-bottom-color:var(--quiet)}
thead tr+tr th,.group{white-space:nowrap}thead .group{border-bottom:1px solid var(--rule);color:var(--ink)}
tbody th{font-weight:400}th[scope=row],thead tr:last-child>:first-child{position:sticky;left:0;background:var(--paper)}
article th[scope=row],article thead tr:last-child>:first-child{background:var(--raised)}
td.n,th.n{text-align:right;white-space:nowrap}
.mine{background:var(--soft)}td.mine{font-weight:600}
.apart{border-left:1px solid var(--rule)}
tfoot th,tfoot td{border-bottom:0;font-weight:600;padding-top:.35rem;padding-bottom:.35rem}
tfoot tr:first-child>*{border-top:1px solid var(--quiet);padding-top:.6rem}
.data table{width:auto;min-width:min(24rem,100%)}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1.25rem 2.5rem}
.grid2>*{min-width:0}
article{margin:1.5rem 0 0;padding:1.4rem 1.5rem;background:var(--raised);border:1px solid var(--rule);
border-radius:.5rem}
article h3{max-width:46rem}
.incidents{margin:1.25rem 0 0}.incidents article{margin:.6rem 0 0;padding:0}
.incident{margin:0;padding:0 1.25rem}.incident[open]{padding-bottom:1.25rem}
.incident>summary{display:flex;flex-wrap:wrap;align-items:baseline;gap:.1rem .9rem;width:auto;padding:.7rem 0;
color:var(--ink)}
.incident>summary::before{content:"";align-self:flex-start;margin-top:.55rem;width:.4rem;height:.4rem;
border:solid var(--quiet);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg)}
.incident[open]>summary::before{transform:rotate(45deg)}
.incident>summary h3{margin:0;flex:1 1 16rem;font-size:1rem}.incident:not([open])>summary h3{font-weight:500}
.incident>summary::-webkit-details-marker{display:none}
.when{color:var(--quiet);font-size:.875rem}
.meta{margin:0 0 .5rem;font-size:.875rem;color:var(--quiet)}
.note{color:var(--quiet);font-size:.9375rem}
.timeline{list-style:none;margin:1.5rem 0 0 .4rem;padding:0 0 0 1.4rem;border-left:2px solid var(--rule)}
.timeline>li{position:relative;margin:0 0 1.15rem}
.timeline>li::before{content:"";position:absolute;left:-1.4rem;top:.5rem;width:.7rem;height:.7rem;
margin-left:calc(-.35rem - 1px);
border-radius:50%;background:var(--paper);border:2px solid var(--quiet)}
.timeline>li.act::before{background:var(--pitstop);border-color:var(--pitstop)}
.timeline p{margin:0;color:inherit}.timeline .meta{color:var(--quiet);margin:.1rem 0 0}
.releases{margin:.75rem 0 0;padding:0;list-style:none;font-size:.9375rem}
.releases li{display:flex;gap:.7rem;padding:.4rem 0;border-bottom:1px solid var(--rule)}
.releases .num{flex:none;width:1.35rem;height:1.35rem;margin-top:.1rem;border-radius:50%;
background:var(--ink);color:var(--paper);
font-size:.75rem;font-weight:700;line-height:1.35rem;text-align:center}
.releases .back{background:var(--paper);color:var(--ink);box-shadow:inset 0 0 0 1.5px var(--ink)}
.badge{display:inline-block;padding:.05rem .55rem;border:1px solid currentColor;border-radius:1rem;
font-size:.8125rem;font-weight:600;white-space:nowrap}
.critical{color:var(--alarm)}.warning{color:var(--never)}.info{color:var(--quiet)}
.finding{display:grid;grid-template-columns:6.5rem 1fr;gap:.25rem 1rem;padding:.9rem 0;
border-bottom:1px solid var(--rule)}
.finding p{margin:0}.findings{list-style:none;margin:1rem 0 0;padding:0}
@media (max-width:34rem){.finding{grid-template-columns:1fr}article{padding:1.1rem 1rem}
.incidents article{padding:0}.incident{padding:0 1rem}.incident>summary h3{flex-basis:100%;order:3}}
footer{margin-top:5rem;padding-top:1.25rem;padding-bottom:3rem;color:var(--quiet);font-size:.875rem}
footer>*{border-top:1px solid var(--rule);padding-top:1.25rem;max-width:none}
dl{margin:1rem 0 0;max-width:48rem}dt{font-weight:600;margin-top:1rem}dd{margin:.15rem 0 0;color:var(--quiet)}
@media print{.incident>summary::before,.data:not([open]),.incident details:not([open]){display:none}
.grid2{grid-template-columns:1fr 1fr}:root{--paper:#fff;--halo:#fff}body{font-size:10pt}
main,header,footer{max-width:none;padding:0}
nav,.skip{display:none}section{margin-top:2rem}
article,figure,.finding,.timeline>li,tr{break-inside:avoid}h2,h3,figcaption,dt,.caption,section>p{break-after:avoid}
.scroll,.scroll.long{overflow:visible;max-height:none}
table{font-size:8pt}th,td{padding:.2rem .35rem}a{color:inherit}}
"""

PAGE_CSS = TOKENS + PICTURE_RULES + _PAGE.replace("FONT", _FONT)
"""The style of a whole page."""
