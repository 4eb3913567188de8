//! The figures' style sheet: light by default and in print, dark where the reader asks for it.

/// One sheet for all figures. Colours are literal, not variables, since tools that put an SVG into a paper know only
/// plain CSS. The hues are Okabe and Ito's (2008), told apart by colour-blind readers; every series has its own marker
/// shape besides.
pub const STYLE: &str = "\
.fw{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-variant-numeric:tabular-nums}\
.fw-bg{fill:#fff}.fw-t{fill:#24303a}.fw-m{fill:#5b6872}.fw-w{fill:#5b6872;font-size:11px}\
.fw-grid{stroke:#e3e7ea}.fw-axis{stroke:#9aa5ad}.fw-ref{stroke:#5b6872;stroke-dasharray:2 3}\
.fw-halo{fill:#24303a;font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}\
.fw-l{fill:none;stroke-width:1.8;stroke-linejoin:round}.fw-pub{stroke-dasharray:6 4}.fw-e{stroke-width:1.3;fill:none}\
.fw-band{opacity:.16;stroke:none}.fw-bar-e{stroke:#24303a;stroke-width:1.2;fill:none}.fw-hollow{fill:#fff}.fw-hit{fill:transparent;stroke:none}\
.fw-c0{stroke:#0067a3}.fw-f0{fill:#0067a3}.fw-c1{stroke:#c8500a}.fw-f1{fill:#c8500a}\
.fw-c2{stroke:#00805d}.fw-f2{fill:#00805d}.fw-c3{stroke:#9b4a88}.fw-f3{fill:#9b4a88}\
.fw-c4{stroke:#a37400}.fw-f4{fill:#a37400}.fw-c5{stroke:#4a5bb8}.fw-f5{fill:#4a5bb8}\
.fw-c6{stroke:#7a838a}.fw-f6{fill:#7a838a}.fw-c7{stroke:#a9b0b6}.fw-f7{fill:#a9b0b6}\
@media screen and (prefers-color-scheme:dark){\
.fw-bg{fill:#14191e}.fw-t{fill:#e4e9ed}.fw-m{fill:#9fabb5}.fw-w{fill:#9fabb5}\
.fw-grid{stroke:#2a333b}.fw-axis{stroke:#5d6a75}.fw-ref{stroke:#9fabb5}.fw-halo{fill:#e4e9ed;stroke:#14191e}.fw-bar-e{stroke:#e4e9ed}.fw-hollow{fill:#14191e}\
.fw-c0{stroke:#5cb8ee}.fw-f0{fill:#5cb8ee}.fw-c1{stroke:#f58b4c}.fw-f1{fill:#f58b4c}\
.fw-c2{stroke:#3fcf9f}.fw-f2{fill:#3fcf9f}.fw-c3{stroke:#dd97cb}.fw-f3{fill:#dd97cb}\
.fw-c4{stroke:#e5bd4a}.fw-f4{fill:#e5bd4a}.fw-c5{stroke:#9dacff}.fw-f5{fill:#9dacff}\
.fw-c6{stroke:#96a1aa}.fw-f6{fill:#96a1aa}.fw-c7{stroke:#6b7680}.fw-f7{fill:#6b7680}}";

/// Colours for measured series, then for published ones, which stay grey.
const MEASURED: usize = 6;

/// The colour of the `index`-th series among those of its origin.
pub(super) fn colour(index: usize, origin: super::Origin) -> usize {
    match origin {
        super::Origin::Measured => index % MEASURED,
        super::Origin::Published => MEASURED + index % 2,
    }
}

/// The colours of a chart's series in their order: measured and published ones are counted apart.
pub(super) fn colours(origins: impl Iterator<Item = super::Origin>) -> Vec<usize> {
    let mut seen = [0, 0];
    origins
        .map(|origin| {
            let count = &mut seen[usize::from(origin == super::Origin::Published)];
            *count += 1;
            colour(*count - 1, origin)
        })
        .collect()
}
