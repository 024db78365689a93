"""Every text of the page in its two languages. What an answer says is not here: the agent wrote it."""

from collections.abc import Callable
from typing import Literal

from page.board_words import BOARD_TEXTS

Language = Literal["en", "zh"]
Say = Callable[..., str]
"""Gives the text of a name, with values filled in."""

TEXTS: dict[str, tuple[str, str]] = {
    **BOARD_TEXTS,
    # The frame
    "chat": ("Chat", "对话"),
    "documents": ("Documents", "文档"),
    "conversations": ("Conversations", "会话列表"),
    "views": ("Views", "视图"),
    "language": ("中文", "English"),
    "language_label": ("Show the page in Chinese", "以英文显示页面"),
    "colours": ("Light or dark", "浅色或深色"),
    "close": ("Close", "关闭"),
    "cancel": ("Cancel", "取消"),
    "save": ("Save", "保存"),
    "unexpected": (
        "Something unexpected went wrong ({kind}); the terminal in which Lorgnette runs says more.",
        "发生了意外错误({kind});运行 Lorgnette 的终端里有详情。",
    ),
    # Sessions
    "new": ("New conversation", "新会话"),
    "rename": ("Rename", "重命名"),
    "delete": ("Delete", "删除"),
    "delete_sure": ("Delete this conversation? Its saved summaries stay.", "删除这个会话?已保存的摘要会保留。"),
    "save_summary": ("Save a summary", "保存摘要"),
    "saved": ("Saved as {path}", "已保存为 {path}"),
    "name": ("Name", "名称"),
    "menu": ("More about {name}", "更多:{name}"),
    "no_sessions": ("No conversations yet.", "还没有会话。"),
    "sessions_off": ("Conversations are not kept: sessions are switched off.", "会话不会保存:sessions 已关闭。"),
    # Asking
    "welcome": (
        "Drop a picture here and ask about it, or ask your documents.",
        "把图片拖到这里提问,或直接询问您的文档。",
    ),
    "question": ("Your question", "您的问题"),
    "send": ("Send", "发送"),
    "stop": ("Stop", "停止"),
    "attach": ("Add pictures, PDFs or films", "添加图片、PDF 或视频"),
    "camera": ("Take a picture with the camera", "用相机拍照"),
    "screenshot": ("Take a picture of the screen", "截取屏幕"),
    "no_camera": ("The camera cannot be used: {reason}", "无法使用相机:{reason}"),
    "remove": ("Remove {name}", "移除 {name}"),
    "effort": ("Effort", "用心程度"),
    "quick": ("Quick", "快速"),
    "normal": ("Normal", "普通"),
    "thorough": ("Thorough", "细致"),
    "quick_means": ("one look, no check", "只看一遍,不复核"),
    "normal_means": ("plan, answer, check", "计划、回答、复核"),
    "thorough_means": ("the best of several answers", "多个回答中选最好的"),
    "use_documents": ("Search my documents", "搜索我的文档"),
    "uploading": ("Receiving …", "正在接收……"),
    # Answering
    "you": ("You", "您"),
    "loading": ("Loading the model: {phase} {percent} %", "正在载入模型:{phase} {percent} %"),
    "beginning": ("Beginning", "开始"),
    "planner": ("Planning", "正在计划"),
    "retriever": ("Searching the documents", "正在搜索文档"),
    "responder": ("Answering", "正在回答"),
    "reviewer": ("Checking the answer", "正在复核"),
    "archivist": ("Saving", "正在保存"),
    "finisher": ("Finishing", "正在收尾"),
    "queued": ("waiting, {count} before this one", "排队中,前面还有 {count} 个"),
    "stopped": ("Stopped.", "已停止。"),
    "thinking": ("Thinking", "思考"),
    "plan": ("Plan", "计划"),
    "no_steps": ("Answer at once.", "直接回答。"),
    "searched_for": ("Searched for: {queries}", "搜索:{queries}"),
    "evidence": ("Evidence ({count})", "依据({count})"),
    "weak": ("may not answer the question", "未必能回答问题"),
    "open_page": ("Show where [{number}] stands in {source}", "显示 [{number}] 在 {source} 中的位置"),
    "review": ("Check and timings", "复核与用时"),
    "passed": ("A second look confirms the answer.", "再看一遍,结果一致。"),
    "doubtful": ("Doubtful: the second look saw “{feedback}”.", "存疑:再看时看到的是“{feedback}”。"),
    "not_judged": ("Not judged.", "没有判定。"),
    "not_reviewed": (
        "Not checked: so with the effort quick, else a note says why.",
        "没有复核:快速模式如此,否则见说明。",
    ),
    "rewritten": ("The answer was rewritten once.", "回答重写过一次。"),
    "truncated": ("Cut short: the limit of time or length was reached.", "未完:达到了时间或长度的限制。"),
    "total": (
        "{seconds} s; {read} tokens read, {cached} from the cache, {new} written",
        "{seconds} 秒;读入 {read} 个词元,缓存 {cached} 个,写出 {new} 个",
    ),
    "step": ("Step", "步骤"),
    "seconds": ("Seconds", "秒"),
    "tokens": ("Read / cached / written", "读入 / 缓存 / 写出"),
    "notes": ("Worth knowing ({count})", "须知({count})"),
    "ask_again": ("Ask again", "再问一次"),
    "again_with": ("Ask again: {effort}", "再问一次:{effort}"),
    "copy": ("Copy the answer", "复制回答"),
    "copied": ("Copied", "已复制"),
    # Pictures
    "picture": ("Picture", "图片"),
    "picture_of": ("Picture {name}", "图片 {name}"),
    "show_picture": ("Show {name} larger", "放大 {name}"),
    "zoom_in": ("Larger", "放大"),
    "zoom_out": ("Smaller", "缩小"),
    "region_hint": ("Drag over the picture to ask about a part of it.", "在图片上拖动,即可询问其中的一部分。"),
    "region_numbers": ("Part: left, top, width, height in pixels", "区域:左、上、宽、高(像素)"),
    "ask_region": ("Ask about this part", "询问这一部分"),
    "region_unreadable": (
        "A part is four numbers with commas between them, inside a picture of {width} x {height} pixels.",
        "区域是用逗号隔开的四个数,在 {width} x {height} 像素的图片之内。",
    ),
    # Documents
    "page_number": ("page {page}", "第 {page} 页"),
    "boxes": ("Places in the picture", "图片中的位置"),
    "relevance": ("{percent} % relevant", "相关度 {percent} %"),
    "show_page": ("Show the page", "显示页面"),
    "folders": ("Folders", "文件夹"),
    "add_folder": ("Add a folder", "添加文件夹"),
    "folder_path": ("Path of a folder on this machine", "本机上文件夹的路径"),
    "forget_folder": ("Take {name} out of the library", "从文档库移除 {name}"),
    "forget_sure": (
        "Take {name} out of the library? The folder itself is not touched.",
        "从文档库移除 {name}?文件夹本身不受影响。",
    ),
    "sync": ("Look for changes", "检查更新"),
    "syncing": ("Reading: {what} ({done} of {total})", "正在读取:{what}({done}/{total})"),
    "synced": (
        "{added} added, {updated} updated, {removed} removed, {skipped} skipped, {seconds} s",
        "新增 {added},更新 {updated},移除 {removed},跳过 {skipped},{seconds} 秒",
    ),
    "counts": (
        "{files} files, {chunks} passages, {skipped} skipped",
        "{files} 个文件,{chunks} 个段落,跳过 {skipped} 个",
    ),
    "no_folders": (
        "No folders yet. Add one, and its documents can be asked.",
        "还没有文件夹。添加后即可询问其中的文档。",
    ),
    "fixed_folder": (
        "These documents were named at the start ({folder}); start without --kb to use the library.",
        "这些文档在启动时指定({folder});不带 --kb 启动即可使用文档库。",
    ),
    "files": ("Files", "文件"),
    "skipped": ("Skipped ({count})", "已跳过({count})"),
    "not_whole": ("Not read whole ({count})", "未读全({count})"),
    "file": ("File", "文件"),
    "type": ("Type", "类型"),
    "reason": ("Reason", "原因"),
    "any": ("Any", "任意"),
    "search": ("Search", "搜索"),
    "search_words": ("Search the documents", "搜索文档"),
    "only_in": ("Only in this file or folder", "仅限此文件或文件夹"),
    "nothing_found": ("Nothing relevant was found.", "没有找到相关内容。"),
}


def speaker(language: Language) -> Say:
    """Return what says the page's texts in a language."""
    column = 0 if language == "en" else 1

    def say(name: str, /, **values: object) -> str:
        text = TEXTS[name][column]
        return text.format(**values) if values else text

    return say


def language_of(accepted: str) -> Language:
    """Return the language that a browser asks for in its header `Accept-Language`; English where it is neither."""
    for part in accepted.split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "en"
