"""Summaries of an evaluation as tables: for the terminal, and in Markdown."""

from rich.table import Table

from training.summary import Summary


def summary_table(summary: Summary, title: str) -> Table:
    """For the terminal: a line a measure, each baseline below its own; a column a kind of photo."""
    measures = {
        "photos": "photos",
        "psnr": "PSNR, dB",
        "psnr_grey": "  of grey",
        "psnr_mean_colour": "  of the mean colour",
        "gain": "gain over grey, dB",
        "gain_low": "  95% from",
        "gain_high": "  to",
        "ab_error": "mean ab error",
        "ab_error_grey": "  of grey",
        "ssim": "SSIM",
        "ssim_grey": "  of grey",
        "hue_error": "hue error, degrees",
        "hue_error_mean_colour": "  of the mean colour",
        "colourfulness": "colourfulness",
        "colourfulness_truth": "  of the truth",
        "colourfulness_ratio": "  ratio",
        "accuracy": "accuracy, argmax(a, b)",
        "accuracy_constant": "  of the best constant",
    }
    out = Table(title=title)
    out.add_column("")
    for name in summary:
        out.add_column(name, justify="right")
    for key, label in measures.items():
        digits = 0 if key == "photos" else 3
        out.add_row(label, *(f"{column[key]:.{digits}f}" for column in summary.values()))
    return out


def markdown_table(summary: Summary) -> str:
    """For documents: a line overall and one a kind."""
    lines = [
        "| photos | n | PSNR, dB | grey | mean colour | gain over grey, dB [95%] | ab error | grey "
        "| SSIM | grey | hue error | mean colour | colourfulness / truth [95%] | accuracy "
        "| best constant |",
        "| --- " + "| ---: " * 14 + "|",
    ]
    for name, x in summary.items():
        lines.append(
            f"| {name} | {x['photos']:.0f} | {x['psnr']:.2f} | {x['psnr_grey']:.2f} "
            f"| {x['psnr_mean_colour']:.2f} "
            f"| {x['gain']:+.2f} [{x['gain_low']:+.2f}, {x['gain_high']:+.2f}] "
            f"| {x['ab_error']:.2f} | {x['ab_error_grey']:.2f} "
            f"| {x['ssim']:.3f} | {x['ssim_grey']:.3f} "
            f"| {x['hue_error']:.1f}° | {x['hue_error_mean_colour']:.1f}° "
            f"| {x['colourfulness_ratio']:.2f} "
            f"[{x['colourfulness_ratio_low']:.2f}, {x['colourfulness_ratio_high']:.2f}] "
            f"| {x['accuracy']:.3f} | {x['accuracy_constant']:.3f} |"
        )
    return "\n".join(lines)
