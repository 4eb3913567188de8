//! The figures' style sheet: light by default and in print, dark if the reader prefers it.

/// The style sheet of all figures. Colors are literal, not variables, since tools that put an SVG into a paper know only
/// plain CSS. The first hues are from Okabe and Ito (2008). A search chose the others: it maximized the smallest distance
/// between any two (OKLab) with normal sight and under protanopia, deuteranopia and tritanopia (Machado, Oliveira and
/// Fernandes 2009), with a contrast of at least 3 to the background. Markers differ as well.
pub const STYLE: &str = "\
.fw{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums}\
.fw-bg{fill:#fff}.fw-t{fill:#24303a}.fw-m{fill:#5b6872}.fw-w{fill:#5b6872;font-size:11px}\
.fw-grid{stroke:#e3e7ea}.fw-axis{stroke:#9aa5ad}.fw-ref{stroke:#5b6872;stroke-dasharray:2 3}\
.fw-halo{fill:#24303a;font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}\
.fw-l{fill:none;stroke-width:1.8;stroke-linejoin:round}.fw-pub{stroke-dasharray:6 4}.fw-e{stroke-width:1.3;fill:none}\
.fw-out{stroke-width:1.4;stroke-dasharray:4 2}.fw-band{opacity:.16;stroke:none}.fw-bar-e{stroke:#24303a;stroke-width:1.2;fill:none}.fw-hollow{fill:#fff}.fw-hit{fill:transparent;stroke:none}\
.fw-c0{stroke:#0067a3}.fw-f0{fill:#0067a3}.fw-c1{stroke:#c8500a}.fw-f1{fill:#c8500a}\
.fw-c2{stroke:#00805d}.fw-f2{fill:#00805d}.fw-c3{stroke:#a87aa3}.fw-f3{fill:#a87aa3}\
.fw-c4{stroke:#560499}.fw-f4{fill:#560499}.fw-c5{stroke:#2896f5}.fw-f5{fill:#2896f5}\
.fw-c6{stroke:#4d203f}.fw-f6{fill:#4d203f}.fw-c7{stroke:#1c500e}.fw-f7{fill:#1c500e}\
.fw-c8{stroke:#594d63}.fw-f8{fill:#594d63}.fw-c9{stroke:#5f6970}.fw-f9{fill:#5f6970}\
.fw-c10{stroke:#8b949b}.fw-f10{fill:#8b949b}\
@media screen and (prefers-color-scheme:dark){\
.fw-bg{fill:#14191e}.fw-t{fill:#e4e9ed}.fw-m{fill:#9fabb5}.fw-w{fill:#9fabb5}\
.fw-grid{stroke:#2a333b}.fw-axis{stroke:#5d6a75}.fw-ref{stroke:#9fabb5}.fw-halo{fill:#e4e9ed;stroke:#14191e}.fw-bar-e{stroke:#e4e9ed}.fw-hollow{fill:#14191e}\
.fw-c0{stroke:#5cb8ee}.fw-f0{fill:#5cb8ee}.fw-c1{stroke:#f58b4c}.fw-f1{fill:#f58b4c}\
.fw-c2{stroke:#3fcf9f}.fw-f2{fill:#3fcf9f}.fw-c3{stroke:#855290}.fw-f3{fill:#855290}\
.fw-c4{stroke:#5e56de}.fw-f4{fill:#5e56de}.fw-c5{stroke:#7af4fb}.fw-f5{fill:#7af4fb}\
.fw-c6{stroke:#d02940}.fw-f6{fill:#d02940}.fw-c7{stroke:#b8f474}.fw-f7{fill:#b8f474}\
.fw-c8{stroke:#72929d}.fw-f8{fill:#72929d}.fw-c9{stroke:#96a1aa}.fw-f9{fill:#96a1aa}\
.fw-c10{stroke:#6b7680}.fw-f10{fill:#6b7680}}";

/// The number of colors for measured series. Those after it are gray, for published ones.
const MEASURED: usize = 9;

/// The color of the series in that slot of its origin.
pub(super) fn color(slot: usize, origin: super::Origin) -> usize {
    match origin {
        super::Origin::Measured => slot % MEASURED,
        super::Origin::Published | super::Origin::Unused => MEASURED + slot % 2,
    }
}
