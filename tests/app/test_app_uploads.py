"""Images of one's own, good and bad."""

import io
import struct
import zlib

import session
from PIL import Image
from session import gallery, open_view, settle, texts, verdicts

empty, shipped = session.empty, session.shipped


def picture(mode="RGB", size=(20, 12), format_="PNG", **options):
    buffer = io.BytesIO()
    channels = len(Image.new(mode, (1, 1)).getbands())
    colour = 20_000 if mode.startswith("I") else tuple(range(60, 60 + 30 * channels, 30)) if channels > 1 else 120
    Image.new(mode, size, colour).save(buffer, format_, **options)
    return buffer.getvalue()


def light_picture():
    buffer = io.BytesIO()
    Image.new("L", (20, 20), 230).save(buffer, "PNG")
    return buffer.getvalue()


def animation():
    buffer = io.BytesIO()
    frames = [Image.new("P", (9, 9), index) for index in range(3)]
    frames[0].putpalette(list(range(256)) * 3)
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def turned():
    image, buffer = Image.new("RGB", (40, 20), (200, 10, 10)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def hundred_megapixels():
    """A PNG of a few bytes whose header promises 10,000 by 10,000 pixels."""
    whole = picture("L", (4, 4))
    header = b"IHDR" + struct.pack(">II", 10_000, 10_000) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


def upload(at, content, name="file.png"):
    at.file_uploader(key="upload").set_value((name, content, "image/png"))
    return settle(at.run())


NOTES = {
    "png": (picture(), "Cropped to the centre and resized from 20×12 to 8×8. Its colours became grey."),
    "16 bits": (picture("I;16"), "16 bits a pixel"),
    "alpha": (picture("RGBA"), "laid on white"),
    "cmyk": (picture("CMYK", format_="JPEG"), "CMYK"),
    "animation": (animation(), "first frame"),
    "exif": (turned(), "from 20×40"),
    "bilevel": (picture("1"), "resized"),
    "palette": (picture("P"), "resized"),
    "one pixel": (picture(size=(1, 1)), "from 1×1"),
    "ribbon": (picture(size=(3000, 2)), "from 3000×2"),
}
BAD = {
    "empty": (b"", "no image of a kind"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image of a kind"),
    "pdf": (b"%PDF-1.7 nothing", "no image of a kind"),
    "truncated jpeg": (picture(size=(300, 300), format_="JPEG")[:700], "damaged or truncated"),
    "truncated png": (picture(size=(300, 300))[:60], "damaged or truncated"),
    "100 megapixels": (hundred_megapixels(), "100 megapixels; the limit is 24"),
    "too many bytes": (picture() + b"\0" * 10_500_000, "the limit is 10 MB"),
}


def test_an_upload_is_attacked_and_says_what_became_of_it(shipped):
    at = open_view()
    for kind, (content, note) in NOTES.items():
        upload(at, content)
        assert not at.error, kind
        assert note in texts(at.caption), kind
        assert "Its class is not known" in texts(at.caption)
        request = at.session_state["job"].request
        assert (request.label, request.image.shape) == (None, (1, 8, 8)), kind
        assert "wrong before" not in " ".join(verdicts(at))


def test_a_bad_upload_gets_one_sentence_and_the_picture_stays(shipped):
    at = open_view()
    job, before = at.session_state["job"], verdicts(at)
    for kind, (content, sentence) in BAD.items():
        upload(at, content)
        assert len(at.error) == 1, kind
        assert sentence in texts(at.error), kind
        assert at.session_state["job"] is job, kind
        assert verdicts(at) == before, kind


def test_after_a_bad_upload_the_good_one_before_it_stays(shipped):
    at = upload(open_view(), picture())
    job = at.session_state["job"]
    upload(at, b"no image")
    assert "The image before it stays." in texts(at.error)
    assert at.session_state["job"] is job
    assert job.request.label is None
    at.file_uploader(key="upload").set_value(None)
    settle(at.run())
    assert not at.error
    assert at.session_state["job"].request.label is not None  # the gallery again


def test_what_was_chosen_last_counts_upload_or_gallery(shipped):
    at = upload(open_view(), picture())
    assert at.session_state["job"].request.label is None
    other = next(row for row in gallery(at) if row != at.session_state["gallery"])
    at.get_by_key("gallery").set_value(other)
    settle(at.run())
    assert at.session_state["job"].request.picture == f"digits {other}"
    assert "chosen after this file" in texts(at.caption)
    upload(at, picture("L"))
    assert at.session_state["job"].request.label is None
